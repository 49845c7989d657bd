/** The state of an agent, as `holdfast status`, `nodes` and `trace` show it. */
import type { CountName, VerdictName } from '../datapath/verdicts.ts';
import type { MemberStatus } from '../sync/core.ts';
import type { Agent } from './agent.ts';
import type { FlowFeedCounters } from './flow-feed.ts';
import type { SwitchedFlow } from './switched-flows.ts';
import type { NodeTrace } from './trace-message.ts';

export interface AgentStatus {
  readonly state: 'starting' | 'running';
  /** What is not as it should be; empty when all is well. */
  readonly degraded: readonly string[];
  readonly node: string;
  readonly pop: string;
  readonly version: string;
  readonly pid: number;
  readonly uptimeMs: number;
  /** One life of this node's flows in the kernel. */
  readonly boot: number;
  /** Whether an earlier agent's state was taken over. */
  readonly inherited: boolean;
  readonly vips: readonly string[];
  readonly members: Readonly<Record<MemberStatus, number>>;
  readonly homes: {
    /** Nodes in the kernel's table. */
    readonly nodes: number;
    /** Whether a change is still settling. */
    readonly settling: boolean;
  };
  readonly tickets: { readonly owned: number; readonly kept: number; readonly halfOpen: number };
  readonly switched: {
    readonly total: number;
    /** Newest first. */
    readonly recent: readonly SwitchedFlow[];
  };
  readonly flows: Readonly<FlowFeedCounters>;
  readonly verdicts: Readonly<Record<VerdictName, number>>;
  readonly troubles: Readonly<Record<CountName, number>>;
}

export interface NodeLine {
  readonly node: string;
  readonly pop: string;
  readonly self: boolean;
  readonly status: MemberStatus;
  readonly address: string;
  readonly incarnation: number;
  readonly boot: number;
  readonly run: number;
  readonly rttMs: number | null;
  readonly draining: boolean;
  readonly version: string;
  readonly configDigest: number;
  /** How it differs from this node. */
  readonly drift: readonly ('config' | 'version')[];
  /** Its flow tickets that this node keeps; for this node itself, those it owns. */
  readonly tickets: number;
}

/** A flow as all nodes see it. */
export interface FlowReport {
  readonly client: string;
  readonly vip: string;
  readonly bucket: number;
  /** The node whose kernel has a socket for the flow. */
  readonly owner: string | null;
  readonly ownerBoot: number | null;
  /** As the asked node's kernel has them, best first. */
  readonly homes: readonly string[];
  /** What each node would do with the next packet. */
  readonly nodes: readonly (NodeTrace & { readonly node: string })[];
  /** Nodes that did not answer. */
  readonly silent: readonly string[];
}

export function agentStatus(agent: Agent): AgentStatus {
  const { settings, datapath, directory, homes } = agent;
  const members: Record<MemberStatus, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };
  for (const peer of agent.peers.indices()) members[agent.peers.get(peer)!.status]++;
  const troubles = datapath.counts.read();
  return {
    state: agent.restored && homes.published > 0 ? 'running' : 'starting',
    degraded: degradations(agent, members, troubles),
    node: settings.node,
    pop: settings.pop,
    version: settings.version,
    pid: process.pid,
    uptimeMs: Math.round(performance.now() - agent.startedMs),
    boot: datapath.boot,
    inherited: datapath.inherited,
    vips: settings.vips,
    members,
    homes: { nodes: homes.named, settling: directory.homes.unsettled },
    tickets: {
      owned: directory.counters.ticketsOwned ?? 0,
      kept: directory.counters.ticketsKept ?? 0,
      halfOpen: agent.flows.halfOpen,
    },
    switched: { total: agent.switched.total, recent: agent.switched.recent },
    flows: { ...agent.flows.counters },
    verdicts: datapath.verdicts.read(),
    troubles,
  };
}

function degradations(
  agent: Agent,
  members: Readonly<Record<MemberStatus, number>>,
  troubles: Readonly<Record<CountName, number>>,
): string[] {
  const reasons: string[] = [];
  if (members.alive + members.suspect === 1) {
    reasons.push('no other node is reachable: nothing can be healed');
  }
  if (members.suspect > 0) reasons.push(`${members.suspect} nodes are suspect`);
  if (members.dead > 0) reasons.push(`${members.dead} nodes are dead`);
  if (troubles.own_full > 0) {
    reasons.push(`${troubles.own_full} flows had no room: raise datapath.ownFlowsMax`);
  }
  for (const { node, drift } of nodeLines(agent)) {
    if (drift.length > 0) reasons.push(`${node} has another ${drift.join(' and ')}`);
  }
  return reasons;
}

/** Every node that this one knows, by name. */
export function nodeLines(agent: Agent): NodeLine[] {
  const { peers, directory, self } = agent;
  const lines = peers.indices().map((peer): NodeLine => {
    const member = peers.get(peer)!;
    const isSelf = peer === peers.self;
    const { tickets } = directory;
    const tenure = isSelf ? tickets.own : tickets.tenureOf(peer);
    const drift: NodeLine['drift'][number][] = [];
    const live = member.status === 'alive' || member.status === 'suspect';
    if (live && member.configDigest !== self.configDigest) drift.push('config');
    if (live && member.version !== self.version) drift.push('version');
    const rttMs = peers.rttMs(peer);
    return {
      node: member.id,
      pop: member.pop,
      self: isSelf,
      status: member.status,
      address: member.address,
      incarnation: member.incarnation,
      boot: member.boot,
      run: member.run,
      rttMs: rttMs === undefined ? null : Math.round(rttMs * 1_000) / 1_000,
      draining: member.draining,
      version: member.version,
      configDigest: member.configDigest,
      drift,
      tickets: tenure?.count ?? 0,
    };
  });
  return lines.sort((a, b) => (a.node < b.node ? -1 : 1));
}
