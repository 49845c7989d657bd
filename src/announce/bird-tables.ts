/** What BIRD's answers say. A core without IO. */

export interface BirdProtocol {
  readonly name: string;
  /** `BGP`, `Static` … */
  readonly kind: string;
  readonly state: string;
  /** `Established` of a BGP session, else what it waits for. */
  readonly info: string;
}

export interface BirdRoute {
  readonly prefix: string;
  /** Protocol that it comes from. */
  readonly protocol: string;
  /** Device that it leads to; empty for none. */
  readonly device: string;
}

/** Lines of `show protocols`. */
export function parseBirdProtocols(lines: readonly string[]): BirdProtocol[] {
  const protocols: BirdProtocol[] = [];
  for (const line of lines) {
    const match = /^(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+\S+(.*)$/.exec(line);
    if (match === null || (match[1] === 'Name' && match[2] === 'Proto')) continue;
    const [, name = '', kind = '', , state = '', rest = ''] = match;
    // Yesterday's protocols show date and time.
    const info = rest.trim().replace(/^\d\d:\d\d:\d\d(\.\d+)?(?:\s+|$)/, '');
    protocols.push({ name, kind, state, info });
  }
  return protocols;
}

/** Lines of `show route`, without `all`. */
export function parseBirdRoutes(lines: readonly string[]): BirdRoute[] {
  const routes: BirdRoute[] = [];
  let prefix = '';
  for (const line of lines) {
    const head = /^(\S+\/\d+)?\s+\w+ \[(\S+) [^\]]*\]/.exec(line);
    if (head !== null) {
      prefix = head[1] ?? prefix;
      routes.push({ prefix, protocol: head[2] ?? '', device: '' });
      continue;
    }
    const via = /^\s+(?:via \S+ on|dev) (\S+)/.exec(line);
    const last = routes.at(-1);
    if (via !== null && last !== undefined && last.device === '') {
      routes[routes.length - 1] = { ...last, device: via[1] ?? '' };
    }
  }
  return routes;
}
