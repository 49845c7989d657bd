/** `false` as root, otherwise the reason why a test in network namespaces is skipped. */
export const skipWithoutRoot: string | false =
  process.getuid?.() === 0 ? false : 'network namespaces need root';
