import type { SimNode } from './sim-node.ts';
import type { World } from './world.ts';

/** After a fault ended, the mesh may still draw the wrong conclusion for this long. */
const AFTERMATH_MS = 25_000;
const FOREVER_MS = Number.POSITIVE_INFINITY;

export type FaultName =
  | 'crash'
  | 'restart'
  | 'halfRestart'
  | 'rollingRestart'
  | 'partition'
  | 'oneWayCuts'
  | 'deaf'
  | 'mute'
  | 'stall'
  | 'clockJump'
  | 'leave'
  | 'lateJoin';

export const FAULTS: readonly FaultName[] = [
  'crash',
  'restart',
  'halfRestart',
  'rollingRestart',
  'partition',
  'oneWayCuts',
  'deaf',
  'mute',
  'stall',
  'clockJump',
  'leave',
  'lateJoin',
];

/** Which nodes may rightly be declared dead, and by whom. */
export class Excuses {
  readonly #subjects = new Map<SimNode, number>();
  readonly #observers = new Map<SimNode, number>();
  readonly #splits: { groupOf: (node: SimNode) => number; untilMs: number }[] = [];
  readonly #cuts: { from: SimNode; to: SimNode; untilMs: number }[] = [];

  /** That node is really unreachable. */
  subject(node: SimNode, untilMs: number): void {
    this.#subjects.set(node, Math.max(untilMs, this.#subjects.get(node) ?? 0));
  }

  /** That node rightly believes everybody else unreachable. */
  observer(node: SimNode, untilMs: number): void {
    this.#observers.set(node, Math.max(untilMs, this.#observers.get(node) ?? 0));
  }

  split(groupOf: (node: SimNode) => number, untilMs: number): void {
    this.#splits.push({ groupOf, untilMs });
  }

  /** One cannot reach the other, but by a helper, if there is one. */
  cut(from: SimNode, to: SimNode, untilMs: number): void {
    this.#cuts.push({ from, to, untilMs });
  }

  back(node: SimNode, untilMs: number): void {
    this.#subjects.set(node, untilMs);
  }

  holds(nowMs: number, observer: SimNode, subject: SimNode, nodes: readonly SimNode[]): boolean {
    if ((this.#subjects.get(subject) ?? 0) > nowMs) return true;
    if ((this.#observers.get(observer) ?? 0) > nowMs) return true;
    if (this.#isSplit(nowMs, observer, subject)) return true;
    if (!this.#isCut(nowMs, observer, subject)) return false;
    // In a small mesh nobody may be left who reaches both.
    const reaches = (helper: SimNode, node: SimNode) =>
      !this.#isCut(nowMs, helper, node) && !this.#isSplit(nowMs, helper, node);
    return !nodes.some(
      (helper) =>
        helper !== observer &&
        helper !== subject &&
        (this.#subjects.get(helper) ?? 0) <= nowMs &&
        reaches(helper, observer) &&
        reaches(helper, subject),
    );
  }

  #isSplit(nowMs: number, a: SimNode, b: SimNode): boolean {
    return this.#splits.some(
      ({ groupOf, untilMs }) => nowMs <= untilMs && groupOf(a) !== groupOf(b),
    );
  }

  #isCut(nowMs: number, a: SimNode, b: SimNode): boolean {
    return this.#cuts.some(
      ({ from, to, untilMs }) =>
        nowMs <= untilMs && ((from === a && to === b) || (from === b && to === a)),
    );
  }
}

function pick(world: World, count: number): SimNode[] {
  const up = world.up();
  world.random.shuffle(up);
  return up.slice(0, Math.max(1, Math.min(count, up.length - 1)));
}

function restart(world: World, excuses: Excuses, node: SimNode, downMs: number): void {
  const newBoot = world.random.chance(0.5);
  world.crash(node, newBoot);
  excuses.subject(node, FOREVER_MS);
  world.at(world.nowMs + downMs, () => {
    world.start(node);
    excuses.back(node, world.nowMs + AFTERMATH_MS);
  });
}

/**
 * Does one fault now.
 * @returns how long it lasts, milliseconds.
 */
export function doFault(world: World, excuses: Excuses, fault: FaultName): number {
  const { random } = world;
  const nodes = world.nodes.length;
  const nowMs = world.nowMs;
  if (world.up().length < 2 && fault !== 'lateJoin') return 0;
  switch (fault) {
    case 'crash': {
      const [node] = pick(world, 1);
      world.crash(node!, true);
      excuses.subject(node!, FOREVER_MS);
      return 0;
    }
    case 'restart': {
      const downMs = random.between(50, 15_000);
      for (const node of pick(world, 1 + random.below(3))) restart(world, excuses, node, downMs);
      return downMs;
    }
    case 'halfRestart': {
      const downMs = random.between(200, 5_000);
      for (const node of pick(world, Math.ceil(nodes / 2))) restart(world, excuses, node, downMs);
      return downMs;
    }
    case 'rollingRestart': {
      const gapMs = random.between(200, 1_500);
      const chosen = pick(world, Math.ceil(nodes / 3));
      chosen.forEach((node, i) => {
        world.at(nowMs + i * gapMs, () => {
          if (node.up) restart(world, excuses, node, 400);
        });
      });
      return chosen.length * gapMs + 400;
    }
    case 'partition': {
      const lastsMs = random.between(1_000, 25_000);
      const groups = 2 + random.below(2);
      const seed = random.u32();
      const groupOf = (index: number) => (Math.imul(index + 1, 0x9e3779b1) ^ seed) >>> 8;
      world.network.partition((index) => groupOf(index) % groups);
      excuses.split((node) => groupOf(node.index) % groups, nowMs + lastsMs + AFTERMATH_MS);
      world.at(nowMs + lastsMs, () => world.network.heal());
      return lastsMs;
    }
    case 'oneWayCuts': {
      const lastsMs = random.between(5_000, 20_000);
      // Few enough that every two nodes still have helpers that reach both.
      for (let i = 0; i < Math.floor(nodes / 4); i += 1) {
        const from = random.below(nodes);
        const to = random.below(nodes);
        if (from === to) continue;
        world.network.cut(from, to);
        excuses.cut(world.nodes[from]!, world.nodes[to]!, nowMs + lastsMs + AFTERMATH_MS);
      }
      world.at(nowMs + lastsMs, () => world.network.heal());
      return lastsMs;
    }
    case 'deaf':
    case 'mute': {
      const lastsMs = random.between(5_000, 20_000);
      const [node] = pick(world, 1);
      for (let other = 0; other < nodes; other += 1) {
        if (other === node!.index) continue;
        if (fault === 'deaf') world.network.cut(other, node!.index);
        else world.network.cut(node!.index, other);
      }
      excuses.subject(node!, nowMs + lastsMs + AFTERMATH_MS);
      excuses.observer(node!, nowMs + lastsMs + AFTERMATH_MS);
      world.at(nowMs + lastsMs, () => world.network.heal());
      return lastsMs;
    }
    case 'stall': {
      const lastsMs = random.between(1_000, 14_000);
      for (const node of pick(world, 1 + random.below(Math.max(1, nodes / 5)))) {
        world.stall(node, lastsMs);
        excuses.subject(node, nowMs + lastsMs + AFTERMATH_MS);
      }
      return lastsMs;
    }
    case 'clockJump': {
      for (const node of pick(world, 1 + random.below(3))) {
        world.jumpClock(node, random.between(1_000, 60_000));
      }
      return 0;
    }
    case 'leave': {
      const [node] = pick(world, 1);
      world.leave(node!);
      excuses.subject(node!, FOREVER_MS);
      world.at(nowMs + 2_000, () => world.crash(node!, true));
      return 2_000;
    }
    case 'lateJoin': {
      // One that left or crashed comes back, when there is one.
      const down = world.nodes.filter((node) => !node.up);
      const node = down[random.below(Math.max(1, down.length))];
      if (node === undefined) return 0;
      world.start(node);
      excuses.back(node, nowMs + AFTERMATH_MS);
      return 0;
    }
  }
}
