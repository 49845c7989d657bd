/** Where this package lies on disk. */
import { fileURLToPath } from 'node:url';

/** The checkout, or the installed package: in both, sources lie two folders below it. */
export function packageRoot(): URL {
  const inDist = import.meta.url.endsWith('.js');
  return new URL(inDist ? '../../../' : '../../', import.meta.url);
}

/** The command `holdfast` of this package. */
export const holdfastProgram = (): string =>
  fileURLToPath(new URL('bin/holdfast.js', packageRoot()));
