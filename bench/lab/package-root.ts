/** Where this package lies on disk. */

/** The checkout, or the installed package: in both, sources lie two folders below it. */
export function packageRoot(): URL {
  const inDist = import.meta.url.endsWith('.js');
  return new URL(inDist ? '../../../' : '../../', import.meta.url);
}
