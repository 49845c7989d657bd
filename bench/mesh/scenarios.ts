import { Random } from '../../src/sync/random.ts';
import { type Cluster, type ClusterNode, machineMs, sleep, withCluster } from './cluster.ts';
import { FLOWS_MAX, type FlowPlan, liveFlows } from './flow.ts';
import type { NodeUsage, Way } from './order.ts';

/** What is promised: within this, on a way that takes no time itself. */
const IN_TIME_MS = 20;
/** Longest wait until all tickets are right again after the last kill. */
const QUIET_MS = 15_000;

export interface DeliveryPlan {
  readonly way: Way;
  readonly ticketsPerS: number;
  readonly seconds: number;
  /** Share of arriving datagrams that every process drops. */
  readonly dropShare: number;
  /** Longest wait for what was lost. */
  readonly repairMs: number;
  /** Before the first ticket, and as long again to learn what rest costs. */
  readonly restMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface DeliveryResult {
  readonly tickets: number;
  /** Share of (ticket, home) pairs that were there within 20 ms of publication. */
  readonly inTimeShare: number;
  readonly arrivalMs: { readonly p50: number; readonly p99: number; readonly p999: number };
  /** Missing at a home after repair; must be 0. */
  readonly missing: number;
  readonly ownerCpuMicrosPerTicket: number;
  readonly homeCpuMicrosPerTicket: number;
  readonly ownerBytesPerTicket: number;
}

/** One owner's new tickets on their way to the two other nodes, which are all their homes. */
export async function measureDelivery(plan: DeliveryPlan): Promise<DeliveryResult> {
  const { way, ticketsPerS, seconds, dropShare, repairMs, restMs, signal } = plan;
  const tickets = ticketsPerS * seconds;
  const options = { way, nodes: 3, dropShare, capacity: 2_000_000, timedFlows: tickets, signal };
  return withCluster(options, async (cluster) => {
    const [owner, ...homes] = cluster.nodes;
    // The table of homes waits before it follows a change.
    await sleep(restMs, signal);
    const idleFrom = await cluster.usages();
    await sleep(restMs, signal);
    const idle = (await cluster.usages()).map(
      (one, i) => (one.cpuMs - idleFrom[i]!.cpuMs) / restMs,
    );
    const before = await cluster.usages();
    const startMs = machineMs() + 100;
    const stopMs = startMs + seconds * 1_000;
    const lifeMs = Number.POSITIVE_INFINITY;
    await owner!.follow({ first: 0, flowsPerSecond: ticketsPerS, lifeMs, startMs, stopMs });
    await sleep(stopMs - machineMs() + 1_000, signal);
    const after = await cluster.usages();
    const elapsedMs = seconds * 1_000 + 1_100;
    const cpu = (i: number) => after[i]!.cpuMs - before[i]!.cpuMs - idle[i]! * elapsedMs;
    const missingAt = async (home: ClusterNode) =>
      tickets - (await home.count(owner!.id, 0, tickets));
    const missingNow = async () => {
      const counts = await Promise.all(homes.map(missingAt));
      return counts.reduce((sum, one) => sum + one, 0);
    };
    const endMs = machineMs() + repairMs;
    let missing = await missingNow();
    while (missing > 0 && machineMs() < endMs) {
      await sleep(500, signal);
      missing = await missingNow();
    }
    const born = await owner!.times();
    const delays = new Float64Array(tickets * homes.length).fill(Number.POSITIVE_INFINITY);
    for (const [i, home] of homes.entries()) {
      const arrived = await home.times();
      for (let n = 0; n < tickets; n += 1) {
        if (arrived[n]! > 0) delays[i * tickets + n] = arrived[n]! - born[n]!;
      }
    }
    delays.sort();
    const at = (share: number) =>
      Math.round(delays[Math.floor(share * delays.length)]! * 100) / 100;
    const inTime = delays.findLastIndex((delayMs) => delayMs <= IN_TIME_MS) + 1;
    const micros = (ms: number) => Math.round((ms / tickets) * 1e5) / 100;
    return {
      tickets,
      inTimeShare: inTime / delays.length,
      arrivalMs: { p50: at(0.5), p99: at(0.99), p999: at(0.999) },
      missing,
      ownerCpuMicrosPerTicket: micros(cpu(0)),
      homeCpuMicrosPerTicket: micros((cpu(1) + cpu(2)) / 2),
      ownerBytesPerTicket: Math.round((after[0]!.bytesOut - before[0]!.bytesOut) / tickets),
    };
  });
}

export interface MemoryPlan {
  readonly way: Way;
  readonly tickets: number;
  readonly restMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface MemoryResult {
  /** Tickets that the home has learned. */
  readonly kept: number;
  /** Growth of the home's process while it learned them, per ticket. */
  readonly bytesPerTicket: number;
}

const FILL_PER_S = 50_000;

/** A home's process before and after it keeps many tickets. */
export async function measureMemory(plan: MemoryPlan): Promise<MemoryResult> {
  const { way, tickets, restMs, signal } = plan;
  const options = { way, nodes: 2, dropShare: 0, capacity: 2_000_000, timedFlows: 0, signal };
  return withCluster(options, async (cluster) => {
    const [owner, home] = cluster.nodes;
    await sleep(restMs, signal);
    const fill = async (first: number, count: number): Promise<NodeUsage> => {
      const startMs = machineMs();
      const forMs = (count / FILL_PER_S) * 1_000;
      const lifeMs = Number.POSITIVE_INFINITY;
      const stopMs = startMs + forMs;
      await owner!.follow({ first, flowsPerSecond: FILL_PER_S, lifeMs, startMs, stopMs });
      await sleep(forMs, signal);
      let usage = await home!.usage();
      for (let tries = 0; tries < 120; tries += 1) {
        const before = usage.ticketsKept;
        await sleep(1_000, signal);
        usage = await home!.usage();
        if (usage.ticketsKept === before) break;
      }
      return usage;
    };
    // Compile and fill every buffer first: these are not the tickets' memory.
    const before = await fill(FLOWS_MAX - 100_000, Math.min(tickets, 50_000));
    const after = await fill(0, tickets);
    const kept = after.ticketsKept - before.ticketsKept;
    return { kept, bytesPerTicket: (after.rssBytes - before.rssBytes) / Math.max(1, kept) };
  });
}

export interface ChaosPlan {
  readonly ticketsPerS: number;
  readonly seconds: number;
  readonly lifeMs: number;
  /** Longest time between two kills. */
  readonly pauseMsMax: number;
  /** Longest time until a killed process is started again. */
  readonly goneMsMax: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ChaosResult {
  readonly kills: number;
  /** Live flows of all nodes when all was quiet. */
  readonly liveTickets: number;
  /** Of these, not known at some home; must be 0. */
  readonly lost: number;
  /** Flows that ended and are still known somewhere; must be 0. */
  readonly stale: number;
}

/** Kills and restarts one process after another while all of them take and end flows. */
export async function measureChaos(plan: ChaosPlan): Promise<ChaosResult> {
  const { ticketsPerS, seconds, lifeMs, pauseMsMax, goneMsMax, seed, signal } = plan;
  const options = { nodes: 3, dropShare: 0.01, capacity: 1_000_000, timedFlows: 0, signal };
  return withCluster(options, async (cluster) => {
    await sleep(2_000, signal);
    const random = new Random(seed);
    const flowsPerSecond = Math.floor(ticketsPerS / cluster.nodes.length);
    const startMs = machineMs();
    const stopMs = startMs + seconds * 1_000;
    const plans = cluster.nodes.map((_, i): FlowPlan => {
      const first = Math.floor((i * FLOWS_MAX) / cluster.nodes.length);
      return { first, flowsPerSecond, lifeMs, startMs, stopMs };
    });
    await Promise.all(cluster.nodes.map((node, i) => node.follow(plans[i]!)));
    let kills = 0;
    while (machineMs() < stopMs - goneMsMax) {
      await sleep(random.between(pauseMsMax / 5, pauseMsMax), signal);
      const victim = random.below(cluster.nodes.length);
      await cluster.nodes[victim]!.kill();
      kills += 1;
      await sleep(random.between(100, goneMsMax), signal);
      await cluster.restart(victim, plans[victim]!);
    }
    await sleep(Math.max(0, stopMs - machineMs()), signal);
    await cluster.joined();
    const quietMs = machineMs() + QUIET_MS;
    for (;;) {
      const counts = await countTickets(cluster, plans);
      if (counts.lost + counts.stale === 0 || machineMs() > quietMs) return { kills, ...counts };
      await sleep(1_000, signal);
    }
  });
}

async function countTickets(
  cluster: Cluster,
  plans: readonly FlowPlan[],
): Promise<Omit<ChaosResult, 'kills'>> {
  let liveTickets = 0;
  let lost = 0;
  let stale = 0;
  for (const [i, owner] of cluster.nodes.entries()) {
    const { low, high } = liveFlows(plans[i]!, machineMs());
    liveTickets += high - low;
    for (const node of cluster.nodes) {
      lost += high - low - (await node.count(owner.id, low, high));
      stale += await node.count(owner.id, plans[i]!.first, low);
    }
  }
  return { liveTickets, lost, stale };
}
