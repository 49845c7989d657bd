/** What membership costs, and how soon all know of a departure: the real code, simulated whole. */
import type { MeshComponent, MeshEvent } from '../../src/sync/core.ts';
import { Homes } from '../../src/sync/homes.ts';
import { candidate, membersHash } from '../../src/sync/homes-build.ts';
import { quantile } from '../../src/sync/sim/measures.ts';
import type { SimNode } from '../../src/sync/sim/sim-node.ts';
import { World } from '../../src/sync/sim/world.ts';

const QUIET_MS = 30_000;
/** Within this every suspicion is settled and every table has followed. */
const EVENT_MS_MAX = 90_000;
const STEP_MS = 500;

/** How nodes go: with a good-bye, or without a word. */
export type Departing = 'leave' | 'crash';

export interface Awareness {
  readonly departing: Departing;
  readonly nodes: number;
  /** Of how many. */
  readonly before: number;
  /** From the departure until a node routes around the departed: half of the nodes, and the last. */
  readonly skipP50Ms: number;
  readonly skipMaxMs: number;
  /** Until the last node uses a table of homes without them. */
  readonly tableMaxMs: number;
}

export interface MembershipTraffic {
  readonly bytesPerNodePerS: number;
  readonly datagramsPerNodePerS: number;
}

/** Follows the table of homes as the directory does, with few rows: only its times matter. */
class HomesWatch implements MeshComponent {
  readonly channels = [];
  readonly counters = {};
  readonly homes = new Homes({ buckets: 64 });
  readonly #self: number;
  readonly #changed: () => void;

  constructor(self: number, changed: () => void) {
    this.#self = self;
    this.#changed = changed;
  }

  handle(nowMs: number, event: MeshEvent): void {
    if (event.type === 'member' && event.peer !== this.#self) {
      this.homes.observe(nowMs, event.change, event.peer, event.member);
    } else if (event.type === 'stalled') this.homes.postpone(event.lateMs);
    if (event.type === 'tick' && this.homes.tick(nowMs) !== undefined) this.#changed();
  }

  nextWakeupMs(): number | undefined {
    return this.homes.nextWakeupMs();
  }
}

export class MembershipWorld {
  readonly #world: World;
  readonly #tables = new Map<SimNode, { homes: Homes; changedAtMs: number }>();

  /** @param meanDelayMs One way, over all pairs of nodes. */
  constructor(nodes: number, loss: number, meanDelayMs: number, seed: number) {
    const world = new World({
      nodes,
      seed,
      // Places on a line lie a third of its length apart on average.
      network: { loss, delayMinMs: 0.25, delayMaxMs: Math.max(1, 3 * meanDelayMs) },
      startWithinMs: 20 * nodes,
      components: (peers, _random, node) => {
        const watch = new HomesWatch(peers.self, () => {
          this.#tables.get(node)!.changedAtMs = world.nowMs;
        });
        this.#tables.set(node, { homes: watch.homes, changedAtMs: 0 });
        watch.homes.start(node.localMs(world.nowMs), peers.self, peers.get(peers.self)!);
        return [watch];
      },
    });
    this.#world = world;
    world.runUntil(20 * nodes + 15_000);
  }

  get up(): number {
    return this.#world.up().length;
  }

  /** Of a quiet mesh, without IP and UDP headers. */
  traffic(): MembershipTraffic {
    const world = this.#world;
    const bytes = () => world.datagramBytes + world.streamBytes;
    const before = { bytes: bytes(), datagrams: world.datagrams };
    world.runUntil(world.nowMs + QUIET_MS);
    const per = (world.nodes.length * QUIET_MS) / 1_000;
    return {
      bytesPerNodePerS: (bytes() - before.bytes) / per,
      datagramsPerNodePerS: (world.datagrams - before.datagrams) / per,
    };
  }

  /**
   * Lets nodes go at the same moment, for good, and looks on until all others have followed.
   * Times are NaN when they have not within a minute and a half.
   */
  depart(departing: Departing, count: number): Awareness {
    const world = this.#world;
    const before = world.up();
    // The first three are everybody's seeds.
    const candidates = before.slice(3);
    world.random.shuffle(candidates);
    const victims = new Set(candidates.slice(0, count));
    const others = before.filter((node) => !victims.has(node));
    const ids = new Set([...victims].map((node) => node.id));
    const aim = membersHash(others.map((node, i) => candidate(i, node.id)));
    const startMs = world.nowMs;
    const missing = new Map(others.map((node) => [node, new Set(ids)]));
    const skippedMs: number[] = [];
    world.onMember = ({ atMs, observer, change, member }) => {
      if (!['suspect', 'dead', 'left'].includes(change)) return;
      const left = missing.get(observer);
      if (left?.delete(member.id) && left.size === 0) skippedMs.push(atMs - startMs);
    };
    for (const node of victims) {
      if (departing === 'leave') world.leave(node);
      else world.crash(node, true);
    }
    const followed = () => others.every((node) => this.#tables.get(node)!.homes.hash === aim);
    while (world.nowMs < startMs + EVENT_MS_MAX && !followed()) {
      world.runUntil(world.nowMs + STEP_MS);
      // A good-bye is told for a moment before the process ends.
      if (departing === 'leave' && world.nowMs >= startMs + 2_000) {
        for (const node of victims) if (node.up) world.crash(node, true);
      }
    }
    for (const node of victims) if (node.up) world.crash(node, true);
    world.onMember = () => {};
    const changed = others.map((node) => this.#tables.get(node)!.changedAtMs - startMs);
    const all = skippedMs.length === others.length;
    return {
      departing,
      nodes: count,
      before: before.length,
      skipP50Ms: quantile(skippedMs, 0.5),
      skipMaxMs: all ? Math.max(...skippedMs) : Number.NaN,
      tableMaxMs: followed() ? Math.max(...changed) : Number.NaN,
    };
  }
}
