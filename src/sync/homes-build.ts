/**
 * Computes the rows of a homes table, a slice at a time, from an older table. Its result depends
 * only on the set of names it aims at, never on the base it starts from.
 */
import type { NodeId, PeerIndex } from './core.ts';
import { bucketHash, type NodeHash, nodeHash, score } from './homes-score.ts';

/** Marks an empty place in a row: fewer live nodes than replicas. */
export const NO_HOME = 0xffff;

/** A node that may be a home, with the hash of its name. */
export interface Candidate {
  readonly peer: PeerIndex;
  readonly id: NodeId;
  readonly hash: NodeHash;
}

export function candidate(peer: PeerIndex, id: NodeId): Candidate {
  return { peer, id, hash: nodeHash(id) };
}

/** Rows of `replicas` peers each, best score first, and the nodes they were computed from. */
export interface HomesTable {
  readonly rows: Uint16Array;
  readonly members: readonly Candidate[];
  /** Same on every node whose table was made from the same names; 0 for a table with holes. */
  readonly hash: number;
}

/** Order-independent hash of a set of names, unsigned 32 bits, never 0. */
export function membersHash(members: readonly Candidate[]): number {
  let sum = members.length;
  for (const { hash } of members) sum = (sum + score(hash.low, hash.high, 0x68666f6d)) >>> 0;
  return sum === 0 ? 1 : sum;
}

/** Not a member: its tickets move. */
const NOWHERE = -1;

export class HomesBuild {
  readonly #base: HomesTable;
  readonly #rows: Uint16Array;
  readonly #members: readonly Candidate[];
  /** Halves of the members' hashes, for a loop that runs 33 million times. */
  readonly #low: Int32Array;
  readonly #high: Int32Array;
  /** Places in `#members` of those that the base does not know. */
  readonly #joined: Int32Array;
  /** Place in `#members` by peer. */
  readonly #placeOf: Int32Array;
  readonly #replicas: number;
  readonly #buckets: number;
  readonly #baseFull: number;
  /** Best scores of the row under way, and the places of their nodes. */
  readonly #topScore: Int32Array;
  readonly #top: Int32Array;
  #held = 0;
  #bucket = 0;

  constructor(base: HomesTable, members: readonly Candidate[], buckets: number, replicas: number) {
    this.#base = base;
    this.#members = members;
    this.#buckets = buckets;
    this.#replicas = replicas;
    this.#rows = new Uint16Array(buckets * replicas).fill(NO_HOME);
    this.#baseFull = Math.min(replicas, base.members.length);
    let peers = 0;
    for (const { peer } of base.members) peers = Math.max(peers, peer + 1);
    for (const { peer } of members) peers = Math.max(peers, peer + 1);
    this.#low = new Int32Array(members.length);
    this.#high = new Int32Array(members.length);
    this.#placeOf = new Int32Array(peers).fill(NOWHERE);
    for (let i = 0; i < members.length; i++) {
      const { peer, hash } = members[i]!;
      this.#placeOf[peer] = i;
      this.#low[i] = hash.low;
      this.#high[i] = hash.high;
    }
    const joined = new Set(members.keys());
    for (const old of base.members) {
      const place = this.#placeOf[old.peer]!;
      if (place === NOWHERE) continue;
      const now = members[place]!;
      if (now.id !== old.id) {
        throw new Error(`peer ${old.peer} changed from ${old.id} to ${now.id}: scrub it first`);
      }
      joined.delete(place);
    }
    this.#joined = Int32Array.from(joined);
    this.#topScore = new Int32Array(replicas);
    this.#top = new Int32Array(replicas);
  }

  /**
   * Works until at least `mixes` scores were computed or the table is complete.
   * @returns the finished table, or `undefined` while rows are left.
   */
  step(mixes: number): HomesTable | undefined {
    let left = mixes;
    while (this.#bucket < this.#buckets && left > 0) left -= this.#row(this.#bucket++);
    if (this.#bucket < this.#buckets) return undefined;
    const members = this.#members;
    return { rows: this.#rows, members, hash: membersHash(members) };
  }

  #row(bucket: number): number {
    const at = bucket * this.#replicas;
    const end = at + this.#replicas;
    const base = this.#base.rows;
    const rows = this.#rows;
    const placeOf = this.#placeOf;
    let kept = at;
    for (let i = at; i < end; i++) {
      const peer = base[i]!;
      if (peer !== NO_HOME && placeOf[peer] !== NOWHERE) rows[kept++] = peer;
    }
    const joined = this.#joined;
    const whole = kept - at === this.#baseFull && kept > at;
    if (whole && joined.length === 0) return 2;
    const mix = bucketHash(bucket);
    const low = this.#low;
    const high = this.#high;
    const topScore = this.#topScore;
    const last = this.#replicas - 1;
    this.#held = 0;
    if (whole) {
      // The best of the old nodes are known, best first: only the newcomers can displace one.
      for (let i = at; i < kept; i++) {
        const place = placeOf[rows[i]!]!;
        topScore[this.#held] = score(mix, low[place]!, high[place]!);
        this.#top[this.#held++] = place;
      }
      for (let i = 0; i < joined.length; i++) {
        const place = joined[i]!;
        const value = score(mix, low[place]!, high[place]!);
        if (this.#held <= last || value >= topScore[last]!) this.#offer(place, value);
      }
    } else {
      const count = low.length;
      let place = 0;
      for (; place < count && place <= last; place++) {
        this.#offer(place, score(mix, low[place]!, high[place]!));
      }
      for (; place < count; place++) {
        const value = score(mix, low[place]!, high[place]!);
        if (value >= topScore[last]!) this.#offer(place, value);
      }
    }
    for (let i = 0; i < this.#held; i++) rows[at + i] = this.#members[this.#top[i]!]!.peer;
    return whole ? joined.length + 5 : this.#members.length + 2;
  }

  /** Insertion into the short sorted list of the best so far. */
  #offer(node: number, value: number): void {
    const top = this.#top;
    const scores = this.#topScore;
    let place = this.#held;
    if (place === this.#replicas) {
      if (!this.#beats(value, node, place - 1)) return;
      place--;
    } else this.#held++;
    while (place > 0 && this.#beats(value, node, place - 1)) {
      scores[place] = scores[place - 1]!;
      top[place] = top[place - 1]!;
      place--;
    }
    scores[place] = value;
    top[place] = node;
  }

  /** Equal 32-bit scores happen about once in a table of 100 nodes; every node must break them alike. */
  #beats(value: number, node: number, place: number): boolean {
    const other = this.#topScore[place]!;
    if (value !== other) return value > other;
    return this.#members[node]!.id > this.#members[this.#top[place]!]!.id;
  }
}
