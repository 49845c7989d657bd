import type { MembershipSettings } from '../settings.ts';
import { suspicionMinMs } from '../suspicion.ts';
import { doFault, Excuses, FAULTS, type FaultName } from './faults.ts';
import type { ComponentFactory, SimNode } from './sim-node.ts';
import { type MemberEvent, World } from './world.ts';

/** What a component brings to a trial: its own load and its own invariants. */
export interface TrialPart {
  readonly components: ComponentFactory;
  /** Before the first event. Plan load with `world.at` and `world.act`. */
  begin(world: World): void;
  /** The last fault is over: stop the load. */
  quiet(): void;
  /** It has not had the time yet that it needs: check later, but not for ever. */
  busy?(world: World): boolean;
  /** When all has been quiet. @returns what does not hold, in words. */
  check(world: World): readonly string[];
}

export interface TrialOptions {
  readonly nodes: number;
  readonly seed: number;
  /** Default: by the seed, 0 to 10 %. */
  readonly loss?: number;
  readonly settings?: Partial<MembershipSettings>;
  /** Only these faults, in any order. Default: by the seed. */
  readonly faults?: readonly FaultName[];
  readonly parts?: readonly TrialPart[];
}

export interface TrialResult {
  readonly seed: number;
  readonly failures: readonly string[];
  readonly faults: readonly FaultName[];
  readonly traceHash: string;
  readonly virtualMs: number;
  readonly events: number;
  readonly datagrams: number;
  readonly bytesPerNodePerSecond: number;
}

const SETTLE_MS = 4_000;
const FAULT_WINDOW_MS = 18_000;
const FAILURES_MAX = 10;
/** So long nobody was suspected, nothing was told, no view was wrong: a crash would be found by now. */
const CALM_MS = 10_000;
const STEP_MS = 1_000;
/** With loss there is always some suspicion on its way somewhere; it must not stay. */
const EXTRA_MS = 20_000;
/** At 10 % loss a healthy node now and then doubts itself a little. */
const AWARENESS_QUIET_MAX = 4;
const LOSSES = [0, 0, 0.01, 0.03, 0.05, 0.1] as const;

/** One simulated world with faults, then quiet, then the invariants. Same options, same result. */
export function runTrial(options: TrialOptions): TrialResult {
  const { nodes, seed } = options;
  const parts = options.parts ?? [];
  const failures: string[] = [];
  const fail = (text: string) => {
    if (failures.length < FAILURES_MAX) failures.push(text);
  };
  const components: ComponentFactory = (peers, random, node) =>
    parts.flatMap((part) => part.components(peers, random, node));
  // Even seeds mix three versions.
  const world = new World({
    nodes,
    seed,
    previousVersion: seed % 2 === 0 ? 0.3 : 0,
    nextVersion: seed % 2 === 0 ? 0.3 : 0,
    startWithinMs: 1_500,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    ...(parts.length === 0 ? {} : { components }),
  });
  const { random } = world;
  world.network.settings = {
    ...world.network.settings,
    loss: options.loss ?? LOSSES[random.below(LOSSES.length)]!,
    duplication: random.chance(0.5) ? 0.02 : 0,
    reordering: random.chance(0.5) ? 0.05 : 0,
  };
  const excuses = new Excuses();
  const byId = new Map<string, SimNode>(world.nodes.map((node) => [node.id, node]));
  world.onMember = (event) => checkDeath(event, excuses, byId, fail);
  for (const part of parts) part.begin(world);
  world.runUntil(SETTLE_MS);
  const faults = planFaults(world, options.faults);
  let endMs = world.nowMs;
  for (const fault of faults) {
    world.runUntil(world.nowMs + random.between(500, FAULT_WINDOW_MS / faults.length));
    endMs = Math.max(endMs, world.nowMs + doFault(world, excuses, fault));
  }
  world.runUntil(endMs);
  world.network.heal();
  for (const part of parts) part.quiet();
  calmDown(world, parts);
  for (const text of wrongViews(world)) fail(text);
  checkBounds(world, fail);
  for (const part of parts) for (const text of part.check(world)) fail(text);
  return {
    seed,
    failures,
    faults,
    traceHash: world.traceHash,
    virtualMs: world.nowMs,
    events: world.events,
    datagrams: world.datagrams,
    bytesPerNodePerSecond:
      (world.datagramBytes + world.streamBytes) / nodes / (world.nowMs / 1_000),
  };
}

/** By then after the last fault the invariants must hold: the longest suspicion, and some more. */
function quietMsFor(world: World): number {
  const { suspicionMultiplier, suspicionMaxFactor, probeIntervalMs } = world.settings;
  const nodes = world.nodes.length;
  return 6_000 + suspicionMaxFactor * suspicionMinMs(suspicionMultiplier, nodes, probeIntervalMs);
}

/**
 * Until membership has been calm for {@link CALM_MS} and every part has had the time that it needs;
 * at the latest when its time is over.
 */
function calmDown(world: World, parts: readonly TrialPart[]): void {
  const dueMs = world.nowMs + quietMsFor(world);
  const lastMs = dueMs + EXTRA_MS;
  let stirredAtMs = world.nowMs;
  while (world.nowMs < lastMs) {
    world.runUntil(world.nowMs + STEP_MS);
    const stirs = isBusy(world);
    if (stirs || wrongViews(world).next().done !== true) stirredAtMs = world.nowMs;
    if (stirs || parts.some((part) => part.busy?.(world))) continue;
    if (world.nowMs >= Math.min(dueMs, stirredAtMs + CALM_MS)) return;
  }
}

function isBusy(world: World): boolean {
  return world.up().some(({ core }) => {
    const { gossip, table, awareness } = core!.membership;
    if (awareness.score > AWARENESS_QUIET_MAX) return true;
    return gossip.size > 0 || table.live().some(({ member }) => member.status === 'suspect');
  });
}

function planFaults(world: World, wanted: readonly FaultName[] | undefined): FaultName[] {
  if (wanted !== undefined) return [...wanted];
  const faults: FaultName[] = [];
  for (let count = 1 + world.random.below(4); count > 0; count -= 1) {
    faults.push(FAULTS[world.random.below(FAULTS.length)]!);
  }
  return faults;
}

function checkDeath(
  event: MemberEvent,
  excuses: Excuses,
  byId: ReadonlyMap<string, SimNode>,
  fail: (text: string) => void,
): void {
  if (event.change !== 'dead') return;
  const subject = byId.get(event.member.id)!;
  if (!subject.up || excuses.holds(event.atMs, event.observer, subject, [...byId.values()])) return;
  const at = (event.atMs / 1_000).toFixed(2);
  fail(`${at} s: ${event.observer.id} declared the healthy ${subject.id} dead`);
}

/** Whoever is up sees the present life of all that are up, and nobody else. */
function* wrongViews(world: World): Generator<string, undefined> {
  const up = world.up();
  for (const node of up) {
    const view = world.view(node);
    for (const other of up) {
      const member = view.get(other.id);
      if (member === undefined) yield `${node.id} does not see ${other.id}`;
      else if (member.status !== 'alive') yield `${node.id} still suspects ${other.id}`;
      else if (member.run !== other.run || member.boot !== other.boot) {
        yield `${node.id} sees an older life of ${other.id}`;
      } else if (member.incarnation !== other.core!.membership.self.incarnation) {
        yield `${node.id} sees another incarnation of ${other.id}`;
      }
    }
    for (const id of view.keys()) {
      if (!up.some((other) => other.id === id)) yield `${node.id} still sees ${id}, which is down`;
    }
  }
}

function checkBounds(world: World, fail: (text: string) => void): void {
  const up = world.up();
  // Alone there is nobody to tell anything.
  if (up.length < 2) return;
  for (const node of up) {
    const { membership, links, counters } = node.core!;
    if (membership.gossip.size > 0) {
      fail(`${node.id} still has ${membership.gossip.size} rumours to tell`);
    }
    if (links.sessions > 4 * world.nodes.length + 8) {
      fail(`${node.id} keeps ${links.sessions} sessions`);
    }
    if (membership.awareness.score > AWARENESS_QUIET_MAX) {
      fail(`${node.id} still doubts itself (${membership.awareness.score})`);
    }
    if (counters.packetsMalformed + membership.counters.claimsMalformed > 0) {
      fail(`${node.id} met packets that it could not read`);
    }
  }
}
