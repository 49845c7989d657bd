/** Names of header fields that never cross a proxy. A core. */

export type HeaderNameSet = ReadonlySet<string>;

/**
 * Fields about one connection (RFC 9110, 7.6.1), and `Transfer-Encoding`, whose framing each side
 * of the edge does for itself (RFC 9112, 6.1). `Connection` itself is read by the callers.
 */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return name === 'te' || name.toLowerCase() === 'te';
    case 7:
      return matches(name, 0x75, 'upgrade') || matches(name, 0x74, 'trailer');
    case 10:
      return matches(name, 0x6b, 'keep-alive') || matches(name, 0x63, 'connection');
    case 16:
      return matches(name, 0x70, 'proxy-connection');
    case 17:
      return matches(name, 0x74, 'transfer-encoding');
    case 18:
      return matches(name, 0x70, 'proxy-authenticate');
    case 19:
      return matches(name, 0x70, 'proxy-authorization');
    default:
      return false;
  }
}

/** The first letter decides most cases before anything is folded. */
function matches(name: string, firstLetter: number, lowerName: string): boolean {
  return (name.charCodeAt(0) | 0x20) === firstLetter && name.toLowerCase() === lowerName;
}

/** Names that a `Connection` field adds to the hop-by-hop ones, apart from those known anyway. */
export function nominatedBy(
  connection: string,
  before: HeaderNameSet | undefined,
): HeaderNameSet | undefined {
  switch (connection) {
    case 'keep-alive':
    case 'close':
    case 'Upgrade':
    case 'upgrade':
    case 'Keep-Alive':
      return before;
  }
  let names: Set<string> | undefined;
  for (const part of connection.split(',')) {
    const name = part.trim().toLowerCase();
    if (name === '' || name === 'close' || name === 'keep-alive' || name === 'upgrade') continue;
    names ??= new Set(before);
    names.add(name);
  }
  return names ?? before;
}
