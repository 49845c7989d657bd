/**
 * Which nodes keep the tickets of a flow: a table of buckets, each with the nodes of the highest
 * rendezvous scores. See docs/design/homes.md.
 */
import { type Member, type MemberChange, PEERS_MAX, type PeerIndex } from './core.ts';
import {
  type Candidate,
  candidate,
  HomesBuild,
  type HomesTable,
  membersHash,
  NO_HOME,
} from './homes-build.ts';
import { BUCKETS } from './homes-score.ts';

export interface HomesOptions {
  /** Rows; a power of two from 64 to 65,536. All nodes must agree. Default 65,536. */
  readonly buckets?: number;
  /** Homes per row. All nodes must agree. Default 3. */
  readonly replicas?: number;
  /** A dead node keeps its place for this long, so that a restart moves nothing. Default 5,000. */
  readonly holdDownMs?: number;
  /** Joins and good-byes within this time make one new table. Default 250. */
  readonly gatherMs?: number;
  /** The previous table is asked second for this long after a change. Default 10,000. */
  readonly settleMs?: number;
  /** Scores computed per tick while a table is built; 200,000 take about 1 ms. Default 200,000. */
  readonly mixesPerTick?: number;
}

/** A node that counts, or stopped counting, and when the table shall follow. */
interface Pending {
  readonly candidate: Candidate;
  readonly wanted: boolean;
  readonly dueMs: number;
}

export class Homes {
  readonly buckets: number;
  readonly replicas: number;
  readonly #holdDownMs: number;
  readonly #gatherMs: number;
  readonly #settleMs: number;
  readonly #mixesPerTick: number;
  /** 1 for a peer that may be asked: alive. Suspect and dead ones are routed around at once. */
  readonly #usable = new Uint8Array(PEERS_MAX);
  readonly #members = new Map<PeerIndex, Candidate>();
  readonly #pending = new Map<PeerIndex, Pending>();
  #dueMs: number | undefined;
  #current: HomesTable;
  #previous: HomesTable | undefined;
  #build: HomesBuild | undefined;
  #settledAtMs = 0;
  #version = 0;

  constructor(options: HomesOptions = {}) {
    this.buckets = options.buckets ?? BUCKETS;
    this.replicas = options.replicas ?? 3;
    if (this.buckets < 64 || this.buckets > BUCKETS || (this.buckets & (this.buckets - 1)) !== 0) {
      throw new RangeError('buckets must be a power of two from 64 to 65,536');
    }
    this.#holdDownMs = options.holdDownMs ?? 5_000;
    this.#gatherMs = options.gatherMs ?? 250;
    this.#settleMs = options.settleMs ?? 10_000;
    this.#mixesPerTick = options.mixesPerTick ?? 200_000;
    const rows = new Uint16Array(this.buckets * this.replicas).fill(NO_HOME);
    this.#current = { rows, members: [], hash: membersHash([]) };
  }

  /** Row-major peers, best first, {@link NO_HOME} where there are too few nodes. Do not change. */
  get rows(): Uint16Array {
    return this.#current.rows;
  }

  /** The table before the last change, while that change settles. */
  get previousRows(): Uint16Array | undefined {
    return this.#previous?.rows;
  }

  /** Equal on two nodes that use the same table; 0 says that the table has holes just now. */
  get hash(): number {
    return this.#current.hash;
  }

  /** Rises by one with each new table. */
  get version(): number {
    return this.#version;
  }

  /** True while a table is being built, a change waits, or the previous table still serves. */
  get unsettled(): boolean {
    return this.#build !== undefined || this.#previous !== undefined || this.#pending.size > 0;
  }

  /** Counts this node itself in, at once; every other comes by {@link observe}. */
  start(nowMs: number, self: PeerIndex, member: Member): void {
    this.#usable[self] = 1;
    this.#want(self, candidate(self, member.id), true, nowMs);
    while (this.tick(nowMs) === undefined || this.#build !== undefined);
  }

  /** Follows a change of membership; same arguments as the mesh's `member` event. */
  observe(nowMs: number, change: MemberChange, peer: PeerIndex, member: Member): void {
    if (change === 'forgotten') {
      this.#scrub(peer);
      return;
    }
    const { status } = member;
    this.#usable[peer] = status === 'alive' ? 1 : 0;
    if (status === 'alive' || status === 'suspect') {
      this.#want(peer, candidate(peer, member.id), true, nowMs + this.#gatherMs);
    } else if (status === 'dead' || status === 'left') {
      const delayMs = status === 'dead' ? this.#holdDownMs : this.#gatherMs;
      this.#want(peer, candidate(peer, member.id), false, nowMs + delayMs);
    }
  }

  /** After a stall of this process: what it did not hear in that time was its own fault. */
  postpone(lateMs: number): void {
    for (const [peer, wish] of this.#pending) {
      this.#pending.set(peer, { ...wish, dueMs: wish.dueMs + lateMs });
    }
    this.#dueMs = undefined;
    this.#settledAtMs += lateMs;
  }

  /**
   * Builds a slice when a table is under way.
   * @returns the rows until now when {@link rows} is another table from now on.
   */
  tick(nowMs: number): Uint16Array | undefined {
    if (this.#previous !== undefined && nowMs >= this.#settledAtMs) this.#previous = undefined;
    this.#applyDue(nowMs);
    const done = this.#build?.step(this.#mixesPerTick);
    if (done === undefined) return undefined;
    this.#build = undefined;
    const before = this.#current;
    // A table that named nobody but this node is no help in finding anything.
    this.#previous = before.members.length > 1 ? before : undefined;
    this.#current = done;
    this.#settledAtMs = nowMs + this.#settleMs;
    this.#version++;
    return before.rows;
  }

  nextWakeupMs(): number | undefined {
    // A build goes on at the next opportunity: any time in the past will do.
    if (this.#build !== undefined) return 0;
    const settledMs = this.#previous === undefined ? Number.POSITIVE_INFINITY : this.#settledAtMs;
    const next = Math.min(settledMs, this.#firstDueMs());
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /** May be asked and written to now. */
  isUsable(peer: PeerIndex): boolean {
    return this.#usable[peer] === 1;
  }

  /**
   * Writes the usable homes of a bucket to `out`, best first; those that only the previous table
   * names come last. `out` needs room for twice {@link replicas}.
   * @returns how many were written.
   */
  homesOf(bucket: number, out: Uint16Array): number {
    const at = bucket * this.replicas;
    let count = this.#collect(this.#current.rows, at, out, 0);
    if (this.#previous !== undefined) count = this.#collect(this.#previous.rows, at, out, count);
    return count;
  }

  /** Whether the table in force names the peer, usable or not, as a home of the bucket. */
  isHome(peer: PeerIndex, bucket: number): boolean {
    return inRow(this.#current.rows, bucket, this.replicas, peer);
  }

  /** The same for the previous table, while there is one. */
  wasHome(peer: PeerIndex, bucket: number): boolean {
    const rows = this.#previous?.rows;
    return rows !== undefined && inRow(rows, bucket, this.replicas, peer);
  }

  #collect(rows: Uint16Array, at: number, out: Uint16Array, from: number): number {
    let count = from;
    for (let i = at; i < at + this.replicas; i++) {
      const peer = rows[i]!;
      if (peer === NO_HOME || this.#usable[peer] !== 1) continue;
      let known = false;
      for (let j = 0; j < count; j++) if (out[j] === peer) known = true;
      if (!known) out[count++] = peer;
    }
    return count;
  }

  #want(peer: PeerIndex, node: Candidate, wanted: boolean, dueMs: number): void {
    if (this.#members.has(peer) === wanted) {
      if (this.#pending.delete(peer)) this.#dueMs = undefined;
      return;
    }
    const before = this.#pending.get(peer);
    if (before !== undefined && before.wanted === wanted && before.dueMs <= dueMs) return;
    this.#pending.set(peer, { candidate: node, wanted, dueMs });
    this.#dueMs = undefined;
  }

  /** When the first pending change is due; looked up again only after one came or went. */
  #firstDueMs(): number {
    if (this.#dueMs === undefined) {
      this.#dueMs = Number.POSITIVE_INFINITY;
      for (const { dueMs } of this.#pending.values()) this.#dueMs = Math.min(this.#dueMs, dueMs);
    }
    return this.#dueMs;
  }

  #applyDue(nowMs: number): void {
    if (nowMs < this.#firstDueMs()) return;
    this.#dueMs = undefined;
    for (const [peer, { candidate: node, wanted, dueMs }] of this.#pending) {
      // Joins wait only for company, and a new table is being made now.
      if (nowMs < dueMs && !wanted) continue;
      this.#pending.delete(peer);
      if (wanted) this.#members.set(peer, node);
      else this.#members.delete(peer);
    }
    this.#rebuild();
  }

  #rebuild(): void {
    const members = [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#build = new HomesBuild(this.#current, members, this.buckets, this.replicas);
  }

  /** The index may stand for another node after this call, so no table may hold it any longer. */
  #scrub(peer: PeerIndex): void {
    this.#usable[peer] = 0;
    this.#pending.delete(peer);
    this.#dueMs = undefined;
    const wasMember = this.#members.delete(peer);
    this.#current = scrubbed(this.#current, peer);
    if (this.#previous !== undefined) this.#previous = scrubbed(this.#previous, peer);
    if (wasMember) this.#rebuild();
  }
}

function inRow(rows: Uint16Array, bucket: number, replicas: number, peer: PeerIndex): boolean {
  const at = bucket * replicas;
  for (let i = at; i < at + replicas; i++) if (rows[i] === peer) return true;
  return false;
}

function scrubbed(table: HomesTable, peer: PeerIndex): HomesTable {
  if (!table.members.some((member) => member.peer === peer)) return table;
  const rows = table.rows.map((home) => (home === peer ? NO_HOME : home));
  const members = table.members.filter((member) => member.peer !== peer);
  return { rows, members, hash: 0 };
}
