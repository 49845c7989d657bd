import { Random } from '../../src/sync/random.ts';
import { machineMs, sleep, withCluster } from './cluster.ts';
import { FLOWS_MAX, type FlowPlan, liveFlows } from './flow.ts';

/** What the issue promises: within this, on a way that takes no time itself. */
const IN_TIME_MS = 20;
const REPAIR_MS = 10_000;

export interface DeliveryResult {
  readonly tickets: number;
  readonly ticketsPerSecond: number;
  readonly dropShare: number;
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
export async function measureDelivery(
  ticketsPerSecond: number,
  seconds: number,
  dropShare: number,
  repairMs = REPAIR_MS,
): Promise<DeliveryResult> {
  const tickets = ticketsPerSecond * seconds;
  const options = { nodes: 3, dropShare, capacity: 2_000_000, timedFlows: tickets };
  return withCluster(options, async (cluster) => {
    const [owner, ...homes] = cluster.nodes;
    // The table of homes waits before it follows a change.
    await sleep(3_000);
    const idleFrom = await cluster.usages();
    await sleep(3_000);
    const idle = (await cluster.usages()).map((one, i) => (one.cpuMs - idleFrom[i]!.cpuMs) / 3_000);
    const before = await cluster.usages();
    const startMs = machineMs() + 100;
    const stopMs = startMs + seconds * 1_000;
    const lifeMs = Number.POSITIVE_INFINITY;
    await owner!.follow({ first: 0, flowsPerSecond: ticketsPerSecond, lifeMs, startMs, stopMs });
    await sleep(stopMs - machineMs() + 1_000);
    const after = await cluster.usages();
    await sleep(repairMs);
    const elapsedMs = seconds * 1_000 + 1_100;
    const cpu = (i: number) => after[i]!.cpuMs - before[i]!.cpuMs - idle[i]! * elapsedMs;
    const born = await owner!.times();
    const delays = new Float64Array(tickets * homes.length).fill(Number.POSITIVE_INFINITY);
    let missing = 0;
    for (const [i, home] of homes.entries()) {
      const arrived = await home.times();
      for (let n = 0; n < tickets; n += 1) {
        if (arrived[n]! > 0) delays[i * tickets + n] = arrived[n]! - born[n]!;
      }
      missing += tickets - (await home.count(owner!.id, 0, tickets));
    }
    delays.sort();
    const at = (share: number) =>
      Math.round(delays[Math.floor(share * delays.length)]! * 100) / 100;
    const inTime = delays.findLastIndex((delayMs) => delayMs <= IN_TIME_MS) + 1;
    const micros = (ms: number) => Math.round((ms / tickets) * 1e5) / 100;
    return {
      tickets,
      ticketsPerSecond,
      dropShare,
      inTimeShare: inTime / delays.length,
      arrivalMs: { p50: at(0.5), p99: at(0.99), p999: at(0.999) },
      missing,
      ownerCpuMicrosPerTicket: micros(cpu(0)),
      homeCpuMicrosPerTicket: micros((cpu(1) + cpu(2)) / 2),
      ownerBytesPerTicket: Math.round((after[0]!.bytesOut - before[0]!.bytesOut) / tickets),
    };
  });
}

export interface MemoryResult {
  readonly tickets: number;
  /** Growth of the home's process while it learned them, per ticket. */
  readonly bytesPerTicket: number;
}

/** A home's process before and after it keeps many tickets. */
export async function measureMemory(tickets: number): Promise<MemoryResult> {
  const options = { nodes: 2, dropShare: 0, capacity: 2_000_000, timedFlows: 0 };
  return withCluster(options, async (cluster) => {
    const [owner, home] = cluster.nodes;
    await sleep(3_000);
    const flowsPerSecond = 50_000;
    const lifeMs = Number.POSITIVE_INFINITY;
    const plan = (first: number, count: number): FlowPlan => {
      const startMs = machineMs();
      const stopMs = startMs + (count / flowsPerSecond) * 1_000;
      return { first, flowsPerSecond, lifeMs, startMs, stopMs };
    };
    // Compile and fill every buffer first: these are not the tickets' memory.
    await owner!.follow(plan(FLOWS_MAX - 100_000, 50_000));
    await sleep(3_000);
    const before = await home!.usage();
    await owner!.follow(plan(0, tickets));
    await sleep((tickets / flowsPerSecond) * 1_000);
    let after = await home!.usage();
    for (let tries = 0; tries < 60; tries += 1) {
      await sleep(2_000);
      const before = after.ticketsKept;
      after = await home!.usage();
      if (after.ticketsKept === before) break;
    }
    const kept = after.ticketsKept - before.ticketsKept;
    return { tickets: kept, bytesPerTicket: (after.rssBytes - before.rssBytes) / kept };
  });
}

export interface ChaosResult {
  readonly seconds: number;
  readonly kills: number;
  readonly ticketsPerSecond: number;
  /** Live flows of all nodes when all was quiet. */
  readonly liveTickets: number;
  /** Of these, not known at some home; must be 0. */
  readonly lost: number;
  /** Flows that ended and are still known somewhere. */
  readonly stale: number;
}

/** Kills and restarts one process after another while all of them take and end flows. */
export async function measureChaos(
  ticketsPerSecond: number,
  seconds: number,
  seed: number,
): Promise<ChaosResult> {
  const options = { nodes: 3, dropShare: 0.01, capacity: 1_000_000, timedFlows: 0 };
  return withCluster(options, async (cluster) => {
    await sleep(2_000);
    const random = new Random(seed);
    const flowsPerSecond = Math.floor(ticketsPerSecond / cluster.nodes.length);
    const startMs = machineMs();
    const plans = cluster.nodes.map((_, i): FlowPlan => {
      const first = Math.floor((i * FLOWS_MAX) / cluster.nodes.length);
      const stopMs = startMs + seconds * 1_000;
      return { first, flowsPerSecond, lifeMs: 20_000, startMs, stopMs };
    });
    await Promise.all(cluster.nodes.map((node, i) => node.follow(plans[i]!)));
    let kills = 0;
    while (machineMs() < startMs + seconds * 1_000 - 6_000) {
      await sleep(random.between(1_000, 5_000));
      const victim = random.below(cluster.nodes.length);
      await cluster.nodes[victim]!.kill();
      kills += 1;
      await sleep(random.between(100, 6_000));
      await cluster.restart(victim, plans[victim]!);
    }
    await sleep(Math.max(0, startMs + seconds * 1_000 - machineMs()));
    await cluster.joined();
    await sleep(15_000);
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
    return { seconds, kills, ticketsPerSecond, liveTickets, lost, stale };
  });
}
