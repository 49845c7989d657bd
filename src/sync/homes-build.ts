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

/** The numbers of some candidates side by side, for loops that run 33 million times. */
class Contenders {
  readonly nodes: readonly Candidate[];
  readonly low: Int32Array;
  readonly high: Int32Array;

  constructor(nodes: readonly Candidate[]) {
    this.nodes = nodes;
    this.low = Int32Array.from(nodes, ({ hash }) => hash.low);
    this.high = Int32Array.from(nodes, ({ hash }) => hash.high);
  }
}

export class HomesBuild {
  readonly #base: HomesTable;
  readonly #rows: Uint16Array;
  readonly #members: Contenders;
  readonly #joined: Contenders;
  readonly #byPeer: (Candidate | undefined)[] = [];
  readonly #replicas: number;
  readonly #buckets: number;
  readonly #baseFull: number;
  readonly #topScore: Int32Array;
  readonly #top: (Candidate | undefined)[];
  #held = 0;
  #bucket = 0;

  constructor(base: HomesTable, members: readonly Candidate[], buckets: number, replicas: number) {
    this.#base = base;
    this.#members = new Contenders(members);
    this.#buckets = buckets;
    this.#replicas = replicas;
    this.#rows = new Uint16Array(buckets * replicas).fill(NO_HOME);
    for (const member of members) this.#byPeer[member.peer] = member;
    const before = new Set(base.members.map(({ id }) => id));
    this.#joined = new Contenders(members.filter(({ id }) => !before.has(id)));
    this.#baseFull = Math.min(replicas, base.members.length);
    for (const old of base.members) {
      const now = this.#byPeer[old.peer];
      if (now !== undefined && now.id !== old.id) {
        throw new Error(`peer ${old.peer} changed from ${old.id} to ${now.id}: scrub it first`);
      }
    }
    this.#topScore = new Int32Array(replicas);
    this.#top = new Array<Candidate | undefined>(replicas).fill(undefined);
  }

  /**
   * Works until at least `mixes` scores were computed or the table is complete.
   * @returns the finished table, or `undefined` while rows are left.
   */
  step(mixes: number): HomesTable | undefined {
    let left = mixes;
    while (this.#bucket < this.#buckets && left > 0) left -= this.#row(this.#bucket++);
    if (this.#bucket < this.#buckets) return undefined;
    const members = this.#members.nodes;
    return { rows: this.#rows, members, hash: membersHash(members) };
  }

  #row(bucket: number): number {
    const replicas = this.#replicas;
    const at = bucket * replicas;
    const base = this.#base.rows;
    const rows = this.#rows;
    let kept = 0;
    for (let i = at; i < at + replicas; i++) {
      const peer = base[i]!;
      if (peer !== NO_HOME && this.#byPeer[peer] !== undefined) rows[at + kept++] = peer;
    }
    const whole = kept === this.#baseFull && kept > 0;
    const contenders = whole ? this.#joined : this.#members;
    const count = contenders.nodes.length;
    if (whole && count === 0) return 2;
    const mix = bucketHash(bucket);
    this.#held = 0;
    if (whole) {
      // The best of the old nodes are known, so only the newcomers can displace one.
      for (let i = at; i < at + kept; i++) {
        const node = this.#byPeer[rows[i]!]!;
        this.#offer(node, score(mix, node.hash.low, node.hash.high));
      }
    }
    const { low, high, nodes } = contenders;
    const last = replicas - 1;
    for (let i = 0; i < count; i++) {
      const value = score(mix, low[i]!, high[i]!);
      if (this.#held <= last || value >= this.#topScore[last]!) this.#offer(nodes[i]!, value);
    }
    for (let i = 0; i < this.#held; i++) rows[at + i] = this.#top[i]!.peer;
    return count + (whole ? 5 : 2);
  }

  /** Insertion into the short sorted list of the best so far. */
  #offer(node: Candidate, value: number): void {
    const top = this.#top;
    const scores = this.#topScore;
    let place = this.#held;
    if (place === this.#replicas) {
      if (!beats(value, node, scores[place - 1]!, top[place - 1]!)) return;
      place--;
    } else this.#held++;
    while (place > 0 && beats(value, node, scores[place - 1]!, top[place - 1]!)) {
      scores[place] = scores[place - 1]!;
      top[place] = top[place - 1];
      place--;
    }
    scores[place] = value;
    top[place] = node;
  }
}

/** Equal 32-bit scores happen about once in a table of 100 nodes; every node must break them alike. */
function beats(scoreA: number, a: Candidate, scoreB: number, b: Candidate): boolean {
  if (scoreA !== scoreB) return scoreA > scoreB;
  return a.id > b.id;
}
