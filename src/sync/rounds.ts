import type { Awareness } from './awareness.ts';
import type { GossipQueue } from './gossip-queue.ts';
import { type Entry, isLive, type MemberTable } from './member-table.ts';
import type { MembershipOutbox } from './membership-outbox.ts';
import type { Random } from './random.ts';
import type { MembershipSettings } from './settings.ts';

const REAP_INTERVAL_MS = 10_000;
/** However fast news comes, gossip rounds keep this distance. */
const GOSSIP_GAP_MS = 20;

/** Everything that membership does by the clock, and whom it does it with. */
export class Rounds {
  readonly #table: MemberTable;
  readonly #seeds: readonly string[];
  readonly #settings: MembershipSettings;
  readonly #awareness: Awareness;
  readonly #random: Random;
  /** Shuffled; a probed one waits until all others had their turn (SWIM, section 4.3). */
  #turns: Entry[] = [];
  #turn = 0;
  #watchAtMs: number;
  #probeAtMs: number;
  #deadAtMs: number;
  #exchangeAtMs: number;
  #seedsAtMs: number;
  #reapAtMs: number;
  #gossipAtMs = Number.POSITIVE_INFINITY;
  #gossipedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    table: MemberTable,
    seeds: readonly string[],
    settings: MembershipSettings,
    awareness: Awareness,
    random: Random,
    nowMs: number,
  ) {
    this.#table = table;
    this.#seeds = seeds;
    this.#settings = settings;
    this.#awareness = awareness;
    this.#random = random;
    // Nodes started together must not act together.
    const { probeIntervalMs } = settings;
    this.#watchAtMs = nowMs + random.float() * probeIntervalMs;
    this.#probeAtMs = this.#watchAtMs + probeIntervalMs / 2;
    this.#deadAtMs = nowMs + this.#spread(settings.deadProbeIntervalMs);
    this.#exchangeAtMs = nowMs + random.float() * settings.exchangeIntervalMs;
    this.#seedsAtMs = nowMs;
    this.#reapAtMs = nowMs + REAP_INTERVAL_MS;
  }

  /** The ring successor, once per interval. */
  watch(nowMs: number): Entry | undefined {
    if (nowMs < this.#watchAtMs) return undefined;
    this.#watchAtMs = nowMs + this.#awareness.scale(this.#settings.probeIntervalMs);
    const self = this.#table.entry(this.#table.self)!;
    const successor = this.#table.successor(self);
    return successor === self ? undefined : successor;
  }

  /** The next in turn, once per interval. */
  probe(nowMs: number): Entry | undefined {
    if (nowMs < this.#probeAtMs) return undefined;
    this.#probeAtMs = nowMs + this.#awareness.scale(this.#settings.probeIntervalMs);
    if (this.#table.liveCount < 3) return undefined; // The watched one is the only other.
    for (let tries = this.#turns.length; tries >= 0; tries -= 1) {
      if (this.#turn >= this.#turns.length) this.#shuffleTurns();
      const entry = this.#turns[this.#turn++];
      if (entry !== undefined && isLive(entry.member)) return entry;
    }
    return undefined;
  }

  /** A random dead node: if it lives behind a healed partition, it will refute. */
  dead(nowMs: number): Entry | undefined {
    if (nowMs < this.#deadAtMs) return undefined;
    this.#deadAtMs = nowMs + this.#spread(this.#settings.deadProbeIntervalMs);
    const dead = this.#table.entries().filter((entry) => entry.member.status === 'dead');
    return dead.length === 0 ? undefined : dead[this.#random.below(dead.length)];
  }

  /** A random live node to compare views with. Rarer in large meshes, where a view is large. */
  exchange(nowMs: number): Entry | undefined {
    if (nowMs < this.#exchangeAtMs) return undefined;
    const live = this.#table.live();
    const factor = Math.max(1, Math.log2(live.length / 32) + 1);
    this.#exchangeAtMs = nowMs + this.#spread(this.#settings.exchangeIntervalMs * factor);
    return this.#other(live);
  }

  /** Calls the seeds that no live node answers for. */
  seeds(nowMs: number, out: MembershipOutbox): void {
    if (nowMs < this.#seedsAtMs || this.#seeds.length === 0) return;
    const { seedIntervalMs } = this.#settings;
    const live = this.#table.live();
    // Alone: insist. In company: only to find the other half of a split mesh.
    const waitMs = live.length === 1 ? seedIntervalMs / 5 : seedIntervalMs;
    this.#seedsAtMs = nowMs + this.#spread(waitMs);
    for (const seed of this.#seeds) {
      if (!live.some((entry) => entry.member.address === seed)) out.contact(seed);
    }
  }

  /** Something new is in the queue. */
  news(nowMs: number): void {
    const soonMs = Math.max(
      nowMs + this.#settings.gossipDelayMs,
      this.#gossipedAtMs + GOSSIP_GAP_MS,
    );
    this.#gossipAtMs = Math.min(this.#gossipAtMs, soonMs);
  }

  gossip(nowMs: number, queue: GossipQueue, out: MembershipOutbox): void {
    if (nowMs < this.#gossipAtMs) return;
    this.#gossipedAtMs = nowMs;
    if (queue.size === 0) {
      this.#gossipAtMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#gossipAtMs = nowMs + this.#settings.gossipIntervalMs;
    const indices = this.#table.indices();
    const chosen: number[] = [];
    const { gossipFanout, deadGossipMs } = this.#settings;
    for (let tries = 4 * gossipFanout; tries > 0 && chosen.length < gossipFanout; tries -= 1) {
      const entry = this.#table.entry(indices[this.#random.below(indices.length)]!)!;
      if (entry.peer === this.#table.self || chosen.includes(entry.peer)) continue;
      if (!isLive(entry.member)) {
        if (entry.member.status === 'left' || nowMs - entry.sinceMs > deadGossipMs) continue;
      }
      chosen.push(entry.peer);
      out.nudge(entry.peer);
    }
  }

  reaping(nowMs: number): boolean {
    if (nowMs < this.#reapAtMs) return false;
    this.#reapAtMs = nowMs + REAP_INTERVAL_MS;
    return true;
  }

  /** A live node that was not one before: gets its turn at a random time within the round. */
  joined(entry: Entry): void {
    const place = this.#turn + this.#random.below(this.#turns.length - this.#turn + 1);
    this.#turns.splice(place, 0, entry);
  }

  forget(entry: Entry): void {
    const place = this.#turns.indexOf(entry);
    if (place === -1) return;
    this.#turns.splice(place, 1);
    if (place < this.#turn) this.#turn -= 1;
  }

  nextWakeupMs(): number {
    const wakeupMs = Math.min(
      this.#watchAtMs,
      this.#probeAtMs,
      this.#gossipAtMs,
      this.#deadAtMs,
      this.#exchangeAtMs,
      this.#reapAtMs,
    );
    return this.#seeds.length === 0 ? wakeupMs : Math.min(wakeupMs, this.#seedsAtMs);
  }

  /** When only the rumours still waiting matter: this node has left. */
  nextGossipMs(): number {
    return this.#gossipAtMs;
  }

  #shuffleTurns(): void {
    this.#turns = this.#table.live().filter((entry) => entry.peer !== this.#table.self);
    this.#random.shuffle(this.#turns);
    this.#turn = 0;
  }

  #other(live: readonly Entry[]): Entry | undefined {
    if (live.length < 2) return undefined;
    const start = this.#random.below(live.length);
    const entry = live[start]!;
    return entry.peer === this.#table.self ? live[(start + 1) % live.length] : entry;
  }

  #spread(durationMs: number): number {
    return durationMs * this.#random.between(0.8, 1.2);
  }
}
