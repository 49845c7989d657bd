/** Who keeps how many tickets, and what moves when nodes go: the real table of homes. A core. */
import { Homes } from '../../src/sync/homes.ts';
import { NO_HOME } from '../../src/sync/homes-build.ts';
import { memberNamed } from '../homes/member.ts';
import type { Fleet } from './fleet.ts';

/** The table of a fleet; peers are numbers of its nodes. */
export class HomesLoad {
  readonly #homes = new Homes();
  readonly #fleet: Fleet;
  readonly #counts: Float64Array;
  #nowMs = 0;

  /** @param counts Flows of every bucket. */
  constructor(fleet: Fleet, counts: Float64Array) {
    this.#fleet = fleet;
    this.#counts = counts;
    const [first, ...others] = fleet.nodes;
    this.#homes.start(0, 0, memberNamed(first!.id));
    for (const [i, node] of others.entries()) {
      this.#homes.observe(0, 'joined', i + 1, memberNamed(node.id));
    }
    this.#settle();
  }

  get homes(): Homes {
    return this.#homes;
  }

  /** Tickets that each node keeps as a home, its own flows included. */
  ticketsKept(): Float64Array {
    const kept = new Float64Array(this.#fleet.nodes.length);
    const { rows, replicas, buckets } = this.#homes;
    for (let bucket = 0; bucket < buckets; bucket++) {
      for (let i = bucket * replicas; i < (bucket + 1) * replicas; i++) {
        if (rows[i] !== NO_HOME) kept[rows[i]!]! += this.#counts[bucket]!;
      }
    }
    return kept;
  }

  /** Lets nodes go, counts, and takes them back. */
  departure(gone: readonly number[]): Departure {
    const { replicas, buckets } = this.#homes;
    const before = this.#homes.rows;
    const { nodes, flows } = this.#fleet;
    const isGone = new Uint8Array(nodes.length);
    for (const peer of gone) isGone[peer] = 1;
    const lostFlows = gone.reduce((sum, peer) => sum + nodes[peer]!.flows, 0);
    const livingShare = 1 - lostFlows / flows;
    let homeless = 0;
    let firstGone = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const row = before.subarray(bucket * replicas, (bucket + 1) * replicas);
      const living = this.#counts[bucket]! * livingShare;
      if (isGone[row[0]!] === 1) firstGone += living;
      if (row.every((peer) => peer === NO_HOME || isGone[peer] === 1)) homeless += living;
    }
    this.#change(gone, 'left');
    const moved = this.#moved(before, this.#homes.rows, livingShare);
    this.#change(gone, 'alive');
    return { nodes: gone.length, lostFlows, firstGone, homeless, ...moved };
  }

  #moved(before: Uint16Array, after: Uint16Array, share: number) {
    const { replicas, buckets } = this.#homes;
    const gained = new Float64Array(this.#fleet.nodes.length);
    let moved = 0;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const old = before.subarray(bucket * replicas, (bucket + 1) * replicas);
      for (const peer of after.subarray(bucket * replicas, (bucket + 1) * replicas)) {
        if (peer === NO_HOME || old.includes(peer)) continue;
        const tickets = this.#counts[bucket]! * share;
        moved += tickets;
        gained[peer]! += tickets;
      }
    }
    return { moved, gainedMost: Math.max(...gained) };
  }

  #change(peers: readonly number[], change: 'left' | 'alive'): void {
    for (const peer of peers) {
      const member = memberNamed(this.#fleet.nodes[peer]!.id, { status: change });
      this.#homes.observe(this.#nowMs, change, peer, member);
    }
    this.#settle();
  }

  #settle(): void {
    this.#nowMs += 1_000;
    while (this.#homes.tick(this.#nowMs) !== undefined || this.#homes.nextWakeupMs() === 0);
  }
}

/** What the departure of nodes means for tickets. Flows are those of nodes that stay. */
export interface Departure {
  readonly nodes: number;
  /** Flows that the departed owned; they ended, or drained before. */
  readonly lostFlows: number;
  /** Flows whose first home is gone: the next one is asked as soon as the entry knows. */
  readonly firstGone: number;
  /** Flows of which every home is gone: found by search until they are published again. */
  readonly homeless: number;
  /** Tickets published again, each to one new home. */
  readonly moved: number;
  /** Most of them at one home. */
  readonly gainedMost: number;
}
