/** The state of an agent, as `holdfast status` and `trace` show it. */
import type { CountName, VerdictName } from '../datapath/verdicts.ts';
import type { MemberStatus } from '../sync/core.ts';
import type { NodesReport } from '../sync/nodes-report.ts';
import type { Agent } from './agent.ts';
import type { AgentAnnounce, AgentAnnounceStatus } from './agent-announce.ts';
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
  /** `null` for an agent that announces nothing. */
  readonly announce: AgentAnnounceStatus | null;
  readonly flows: Readonly<FlowFeedCounters>;
  readonly verdicts: Readonly<Record<VerdictName, number>>;
  readonly troubles: Readonly<Record<CountName, number>>;
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

export function agentStatus(agent: Agent, announcing?: AgentAnnounce): AgentStatus {
  const announce = announcing?.status ?? null;
  const { settings, datapath, directory, homes } = agent;
  const members: Record<MemberStatus, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };
  for (const peer of agent.peers.indices()) members[agent.peers.get(peer)!.status]++;
  const troubles = datapath.counts.read();
  return {
    state: agent.restored && homes.published > 0 ? 'running' : 'starting',
    degraded: [...degradations(agent, members, troubles), ...announceReasons(announce)],
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
    announce,
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
  return [...reasons, ...driftReasons(agent.admin.nodes())];
}

function announceReasons(announce: AgentAnnounceStatus | null): string[] {
  if (announce === null) return [];
  const { state, reasons, routing, hold } = announce;
  const problem = routing.problem.split('\n', 1)[0] ?? '';
  return [
    ...(state === 'up' && hold === 'auto' ? [] : [`announces ${state}: ${reasons.join('; ')}`]),
    ...(problem === '' ? [] : [`the routing does not follow: ${problem}`]),
  ];
}

/** Nodes that run something else than most. */
export function driftReasons({ nodes }: NodesReport): string[] {
  return nodes.flatMap(({ id, drift }) =>
    drift.length > 0 ? [`${id} has another ${drift.join(' and ')} than most`] : [],
  );
}
