import type { Random } from '../random.ts';

export interface NetworkSettings {
  /** Share of datagrams lost, 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  /** Share of datagrams held back so long that later ones overtake them. */
  readonly reordering: number;
  /** One-way delay between the nearest and the farthest two nodes, milliseconds. */
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
}

export const NETWORK_DEFAULTS: NetworkSettings = {
  loss: 0,
  duplication: 0,
  reordering: 0,
  delayMinMs: 1,
  delayMaxMs: 40,
};

/** Nobody gives up a TCP connection before this. */
const STREAM_BREAK_MS = 3_000;
const STREAM_RETRANSMIT_MS = 200;

/** Who can reach whom, how late, and what gets lost. Nodes are numbers. */
export class Network {
  settings: NetworkSettings;
  readonly #random: Random;
  readonly #nodes: number;
  readonly #places: Float64Array;
  readonly #cuts = new Set<number>();
  readonly #groups: Int32Array;
  readonly #streamAtMs = new Map<number, number>();

  constructor(nodes: number, settings: NetworkSettings, random: Random) {
    this.settings = settings;
    this.#random = random;
    this.#nodes = nodes;
    this.#places = new Float64Array(nodes);
    for (let i = 0; i < nodes; i += 1) this.#places[i] = random.float();
    this.#groups = new Int32Array(nodes);
  }

  /** Cuts one direction only. */
  cut(from: number, to: number): void {
    this.#cuts.add(from * this.#nodes + to);
  }

  /** Splits the nodes: members of different groups cannot reach each other. */
  partition(groupOf: (node: number) => number): void {
    for (let i = 0; i < this.#nodes; i += 1) this.#groups[i] = groupOf(i);
  }

  heal(): void {
    this.#cuts.clear();
    this.#groups.fill(0);
  }

  reaches(from: number, to: number): boolean {
    return this.#groups[from] === this.#groups[to] && !this.#cuts.has(from * this.#nodes + to);
  }

  /** Delay of one datagram, or `undefined` when it is lost. */
  datagramMs(from: number, to: number): number | undefined {
    if (!this.reaches(from, to) || this.#random.chance(this.settings.loss)) return undefined;
    return this.#delayMs(from, to);
  }

  duplicates(): boolean {
    return this.#random.chance(this.settings.duplication);
  }

  /**
   * When one stream message arrives, given that it is sent now: in order, retransmitted when lost.
   * `undefined` when the connection breaks instead.
   */
  streamAtMs(nowMs: number, from: number, to: number): number | undefined {
    if (!this.reaches(from, to) || !this.reaches(to, from)) return undefined;
    let atMs = nowMs + this.#delayMs(from, to);
    while (this.#random.chance(this.settings.loss)) atMs += STREAM_RETRANSMIT_MS;
    const key = from * this.#nodes + to;
    atMs = Math.max(atMs, this.#streamAtMs.get(key) ?? 0);
    this.#streamAtMs.set(key, atMs);
    return atMs;
  }

  get streamBreakMs(): number {
    return STREAM_BREAK_MS;
  }

  #delayMs(from: number, to: number): number {
    const { delayMinMs, delayMaxMs, reordering } = this.settings;
    const distance = Math.abs(this.#places[from]! - this.#places[to]!);
    const jitterMs = -Math.log(1 - this.#random.float());
    const heldMs = this.#random.chance(reordering) ? this.#random.between(5, 60) : 0;
    return delayMinMs + (delayMaxMs - delayMinMs) * distance + jitterMs + heldMs;
  }
}
