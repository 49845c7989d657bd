import { keyIdText } from './cluster-key.ts';
import type { MemberStatus, PeerIndex } from './core.ts';
import { isLive } from './member-table.ts';
import type { MeshCore } from './mesh-core.ts';

/** What differs from most of the live nodes. */
export type Drift = 'config' | 'version';

export interface NodeReport {
  readonly id: string;
  readonly pop: string;
  readonly address: string;
  /** This is the node that was asked. */
  readonly self: boolean;
  readonly state: MemberStatus;
  readonly draining: boolean;
  readonly incarnation: number;
  /** Eight hexadecimal digits. */
  readonly boot: string;
  readonly run: string;
  /** Smoothed, milliseconds; null before the first answer and for this node. */
  readonly rttMs: number | null;
  /** Share of recent direct probes that were not answered in time. */
  readonly loss: number;
  readonly version: string;
  readonly configDigest: string;
  readonly protocol: readonly [number, number];
  readonly drift: readonly Drift[];
  /** Its flow tickets that are known here; of this node: that it owns. Null without a directory. */
  readonly tickets: number | null;
}

/** What `holdfast nodes --json` prints. */
export interface NodesReport {
  readonly self: string;
  /** Time-outs of this node are this much longer than usual, less one: it doubts itself. */
  readonly awareness: number;
  readonly nodes: readonly NodeReport[];
}

/**
 * The mesh as one node sees it, sorted by id.
 * @param ticketsOf How many flow tickets of a node are known here.
 */
export function nodesReport(
  core: MeshCore,
  ticketsOf: (peer: PeerIndex) => number | null = () => null,
): NodesReport {
  const { table, awareness, self } = core.membership;
  const live = table.live().map(({ member }) => member);
  const config = mostCommon(live.map((member) => member.configDigest));
  const version = mostCommon(live.map((member) => member.version));
  const nodes = table.entries().map(({ peer, member, roundTrip }): NodeReport => {
    const drift: Drift[] = [];
    if (isLive(member) && member.configDigest !== config) drift.push('config');
    if (isLive(member) && member.version !== version) drift.push('version');
    return {
      id: member.id,
      pop: member.pop,
      address: member.address,
      self: peer === table.self,
      state: member.status,
      draining: member.draining,
      incarnation: member.incarnation,
      boot: keyIdText(member.boot),
      run: keyIdText(member.run),
      rttMs: roundTrip.smoothedMs === undefined ? null : round(roundTrip.smoothedMs),
      loss: round(roundTrip.lossShare),
      version: member.version,
      configDigest: keyIdText(member.configDigest),
      protocol: [member.protocolMin, member.protocolMax],
      drift,
      tickets: ticketsOf(peer),
    };
  });
  nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { self: self.id, awareness: awareness.score, nodes };
}

/** Ties go to the smallest, so that every node names the same drifter. */
function mostCommon<T extends string | number>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  for (const [value, count] of counts) {
    const most = best === undefined ? 0 : counts.get(best)!;
    if (best === undefined || count > most || (count === most && value < best)) best = value;
  }
  return best;
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
