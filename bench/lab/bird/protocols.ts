/**
 * Reads what `birdc show protocols` prints:
 *
 * ```
 * BIRD 2.0.12 ready.
 * Name       Proto      Table      State  Since         Info
 * pop_a_4    BGP        ---        up     12:00:00.000  Established
 * ```
 */
export interface ProtocolState {
  readonly name: string;
  readonly proto: string;
  /** `up`, `down`, `start`, `stop`. */
  readonly state: string;
  /** `Established`, `Active`, `Connect` …; empty when nothing is said. */
  readonly info: string;
}

const PROTOCOLS_MAX = 1_000;

/** Lines that are not rows of the table are left out. Never throws. */
export function parseProtocols(text: string): ProtocolState[] {
  const rows: ProtocolState[] = [];
  for (const line of text.split('\n')) {
    const [name, proto, table, state, since, ...info] = line.trim().split(/\s+/);
    if (name === undefined || proto === undefined || table === undefined) continue;
    if (state === undefined || since === undefined) continue;
    if (!['up', 'down', 'start', 'stop', 'flush'].includes(state)) continue;
    rows.push({ name, proto, state, info: info.join(' ') });
    if (rows.length === PROTOCOLS_MAX) break;
  }
  return rows;
}

/** How many BGP sessions there are, and how many exchange routes. */
export function bgpProgress(protocols: readonly ProtocolState[]): {
  established: number;
  total: number;
} {
  const bgp = protocols.filter((protocol) => protocol.proto === 'BGP');
  return {
    established: bgp.filter((protocol) => protocol.info === 'Established').length,
    total: bgp.length,
  };
}
