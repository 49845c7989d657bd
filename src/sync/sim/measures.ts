import type { MembershipSettings } from '../settings.ts';
import { World } from './world.ts';

/** Sorted ascending in place. @returns the value that `share` of all do not exceed. */
export function quantile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.ceil(share * values.length) - 1)] ?? Number.NaN;
}

export interface DetectionResult {
  readonly nodes: number;
  readonly crashes: number;
  /** From the crash until the first node declares it dead, seconds. */
  readonly firstS: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Until every node did. */
  readonly allS: { readonly p50: number; readonly max: number };
  readonly healthyDeclaredDead: number;
  /** Quiet mesh, datagrams and streams together, without IP and UDP headers. */
  readonly bytesPerNodePerSecond: number;
  readonly datagramsPerNodePerSecond: number;
}

export interface MeasureOptions {
  readonly nodes: number;
  readonly seed: number;
  readonly loss: number;
  readonly settings?: Partial<MembershipSettings>;
}

function settledWorld(options: MeasureOptions): World {
  const { nodes, seed, loss, settings } = options;
  const world = new World({
    nodes,
    seed,
    network: { loss },
    startWithinMs: 20 * nodes,
    ...(settings === undefined ? {} : { settings }),
  });
  world.runUntil(20 * nodes + 10_000);
  return world;
}

/** Crashes one node after another in one world and takes the time. */
export function measureDetection(options: MeasureOptions, crashes: number): DetectionResult {
  const world = settledWorld(options);
  const { nodes } = options;
  const firstS: number[] = [];
  const allS: number[] = [];
  let healthyDeclaredDead = 0;
  const quietFromMs = world.nowMs;
  const datagramsBefore = world.datagrams;
  const bytesBefore = world.datagramBytes + world.streamBytes;
  world.runUntil(world.nowMs + 20_000);
  const quietS = (world.nowMs - quietFromMs) / 1_000;
  const datagrams = world.datagrams - datagramsBefore;
  const bytes = world.datagramBytes + world.streamBytes - bytesBefore;
  for (let i = 0; i < crashes; i += 1) {
    world.runUntil(world.nowMs + world.random.between(0, 2_000));
    const victims = world.up().slice(3);
    const victim = victims[world.random.below(victims.length)]!;
    const crashedAtMs = world.nowMs;
    let heard = 0;
    let lastMs = 0;
    world.onMember = ({ change, member, atMs }) => {
      if (change !== 'dead') return;
      if (member.id !== victim.id) {
        healthyDeclaredDead += 1;
        return;
      }
      heard += 1;
      if (heard === 1) firstS.push((atMs - crashedAtMs) / 1_000);
      lastMs = atMs;
    };
    world.crash(victim, true);
    world.runUntil(crashedAtMs + 40_000);
    if (heard === nodes - 1) allS.push((lastMs - crashedAtMs) / 1_000);
    world.start(victim);
    world.runUntil(world.nowMs + 10_000);
  }
  return {
    nodes,
    crashes,
    firstS: { p50: quantile(firstS, 0.5), p99: quantile(firstS, 0.99), max: quantile(firstS, 1) },
    allS: { p50: quantile(allS, 0.5), max: quantile(allS, 1) },
    healthyDeclaredDead,
    bytesPerNodePerSecond: bytes / nodes / quietS,
    datagramsPerNodePerSecond: datagrams / nodes / quietS,
  };
}

export interface RumourResult {
  readonly nodes: number;
  readonly rumours: number;
  /** Until the last node knows, milliseconds, over all rumours. */
  readonly allMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly missed: number;
  readonly bytesPerNodePerRumour: number;
}

export function measureRumour(options: MeasureOptions, rumours: number): RumourResult {
  const world = settledWorld(options);
  const allMs: number[] = [];
  let missed = 0;
  let bytes = 0;
  for (let i = 0; i < rumours; i += 1) {
    const quietBefore = world.datagramBytes;
    world.runUntil(world.nowMs + 3_000);
    const quietBytes = world.datagramBytes - quietBefore;
    const toldAtMs = world.nowMs;
    let heard = 0;
    let lastMs = 0;
    world.onRumour = (_node, _key, atMs) => {
      heard += 1;
      lastMs = atMs;
    };
    const before = world.datagramBytes;
    world.tell(world.nodes[world.random.below(world.nodes.length)]!, `rumour-${i}`);
    world.runUntil(toldAtMs + 3_000);
    bytes += world.datagramBytes - before - quietBytes;
    if (heard === options.nodes) allMs.push(lastMs - toldAtMs);
    else missed += options.nodes - heard;
  }
  return {
    nodes: options.nodes,
    rumours,
    allMs: { p50: quantile(allMs, 0.5), p99: quantile(allMs, 0.99), max: quantile(allMs, 1) },
    missed,
    bytesPerNodePerRumour: bytes / options.nodes / rumours,
  };
}

export interface StallResult {
  readonly nodes: number;
  readonly stalling: number;
  readonly virtualS: number;
  readonly stalls: number;
  /** Healthy nodes that at least one node declared dead, counted once per time it happened. */
  readonly healthyKilled: number;
  /** Times that a node, healthy or not, declared a healthy one dead. */
  readonly deathsDeclared: number;
}

/**
 * Some nodes stand still for `stallMs` again and again, with pauses of up to `pauseMaxMs`, all others are
 * healthy: how many of these die of it?
 */
export function measureStalls(
  options: MeasureOptions,
  stalling: number,
  stallMs: number,
  durationMs: number,
  pauseMaxMs = 12_000,
): StallResult {
  const world = settledWorld(options);
  const sick = new Set(world.nodes.slice(5, 5 + stalling));
  const sickIds = new Set([...sick].map((node) => node.id));
  const killed = new Set<string>();
  let deathsDeclared = 0;
  let stalls = 0;
  world.onMember = ({ change, member }) => {
    if (change !== 'dead' || sickIds.has(member.id)) return;
    deathsDeclared += 1;
    killed.add(`${member.id}/${member.incarnation}`);
  };
  const endMs = world.nowMs + durationMs;
  for (const node of sick) {
    const next = () => {
      if (world.nowMs > endMs) return;
      stalls += 1;
      world.stall(node, stallMs);
      world.at(world.nowMs + stallMs + world.random.between(5, pauseMaxMs), next);
    };
    world.at(world.nowMs + world.random.between(0, stallMs), next);
  }
  world.runUntil(endMs + 30_000);
  return {
    nodes: options.nodes,
    stalling,
    virtualS: durationMs / 1_000,
    stalls,
    healthyKilled: killed.size,
    deathsDeclared,
  };
}
