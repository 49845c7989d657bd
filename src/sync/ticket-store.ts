/**
 * Flow tickets of this node (its own) and of other owners (those it is a home of), in typed columns.
 * One flow may have tickets of several owners (a handshake that reached two nodes, a port used
 * again elsewhere); the one learned last answers.
 */
import { type FlowKey, isNewer, KEY_WORDS, keyHash, ticketDigest } from '../proto/ticket-key.ts';
import type { PeerIndex } from './core.ts';
import type { TicketChanges } from './ticket-changes.ts';
import { FREE, NONE, TicketColumns } from './ticket-columns.ts';
import { TicketIndex } from './ticket-index.ts';
import { GROUPS, Tenure } from './ticket-tenure.ts';

export interface TicketStoreOptions {
  /** Most tickets, own and others'. When full, another owner's ticket makes room. */
  readonly capacity: number;
  /** Rows of the homes table. */
  readonly buckets: number;
  readonly self: PeerIndex;
  /** Boot of this node: of its own tickets. */
  readonly boot: number;
  /** Makes the lists of the index unpredictable for clients who choose their ports. */
  readonly seed: number;
  /** Told of every other owner's ticket that came or went, if given. */
  readonly changes?: TicketChanges;
}

/** `stale`: a newer generation of the same flow is there. `full`: no ticket could make room. */
export type PutResult = 'added' | 'renewed' | 'same' | 'stale' | 'full';
export type DeleteResult = 'removed' | 'newer' | 'absent';

/** Places the clock hand looks at before an insert gives up. */
const HAND_STEPS = 256;
const TENURES_MAX = FREE;

export class TicketStore {
  readonly capacity: number;
  readonly own: Tenure;
  readonly #buckets: number;
  readonly #seed: number;
  readonly #columns = new TicketColumns();
  readonly #index = new TicketIndex(this.#columns);
  readonly #tenures: (Tenure | undefined)[] = [];
  readonly #byPeer: (Tenure | undefined)[] = [];
  readonly #voided: Tenure[] = [];
  readonly #changes: TicketChanges | undefined;
  readonly #scratch = new Uint32Array(KEY_WORDS);
  #size = 0;
  #hand = 0;
  #evictions = 0;

  constructor(options: TicketStoreOptions) {
    this.capacity = options.capacity;
    this.#buckets = options.buckets;
    this.#seed = options.seed;
    this.#changes = options.changes;
    this.own = new Tenure(0, options.self, options.boot, options.buckets, options.buckets);
    this.#tenures.push(this.own);
    this.#byPeer[options.self] = this.own;
  }

  /** Tickets in memory, void ones included. */
  get size(): number {
    return this.#size;
  }

  /** Tickets of other owners that made room for newer ones, ever. */
  get evictions(): number {
    return this.#evictions;
  }

  /** Tenures that wait for {@link sweep}. */
  get voided(): number {
    return this.#voided.length;
  }

  /** Tickets of the peer's present boot, live or paused. */
  tenureOf(peer: PeerIndex): Tenure | undefined {
    return this.#byPeer[peer];
  }

  /**
   * The tenure of this boot of the peer, made when it is new. A tenure of another boot is void from
   * here on. `undefined` only while 65,535 tenures wait to be swept.
   */
  open(peer: PeerIndex, boot: number): Tenure | undefined {
    const before = this.#byPeer[peer];
    if (before?.boot === boot) return before;
    if (before === this.own) return undefined;
    if (before !== undefined) this.void(before);
    let id = 1;
    while (id < this.#tenures.length && this.#tenures[id] !== undefined) id++;
    if (id >= TENURES_MAX) return undefined;
    const tenure = new Tenure(id, peer, boot, GROUPS, this.#buckets);
    this.#tenures[id] = tenure;
    this.#byPeer[peer] = tenure;
    return tenure;
  }

  /** Ends a tenure at once; {@link sweep} takes its memory back. Constant time. */
  void(tenure: Tenure): void {
    if (tenure.state === 'void' || tenure === this.own) return;
    tenure.state = 'void';
    this.#voided.push(tenure);
    if (this.#byPeer[tenure.peer] === tenure) this.#byPeer[tenure.peer] = undefined;
  }

  /** Enters a ticket, or raises its generation. */
  put(tenure: Tenure, bucket: number, key: FlowKey, generation: number): PutResult {
    const hash = keyHash(key, this.#seed);
    const known = this.#find(tenure, key, hash);
    if (known !== NONE) {
      const older = isNewer(this.#columns.generationOf(known), generation);
      if (older || this.#columns.bucketOf(known) === bucket) {
        return this.#renew(known, tenure, key, generation);
      }
      // The owner corrects the bucket: kernels of one node agree with themselves.
      this.remove(known);
    }
    if (this.#size >= this.capacity && !this.#evictOne()) return 'full';
    const columns = this.#columns;
    const ticket = columns.take();
    columns.setKey(ticket, key);
    columns.setHash(ticket, hash);
    columns.setGeneration(ticket, generation);
    columns.setTenure(ticket, tenure.id);
    columns.setBucket(ticket, bucket);
    columns.setUsed(ticket, false);
    columns.setMark(ticket, false);
    tenure.open();
    const chain = tenure.chainOf(bucket);
    const first = tenure.heads[chain]!;
    columns.setChainNext(ticket, first);
    columns.setChainPrevious(ticket, NONE);
    if (first !== NONE) columns.setChainPrevious(first, ticket);
    tenure.heads[chain] = ticket;
    tenure.counts[chain]!++;
    tenure.digests[chain]! ^= ticketDigest(key, generation);
    tenure.count++;
    this.#size++;
    this.#index.insert(ticket);
    if (tenure !== this.own) this.#changes?.learned(key, tenure.peer);
    return 'added';
  }

  /** Ends a ticket unless it belongs to a newer flow on the same ports. */
  delete(tenure: Tenure, key: FlowKey, generation: number): DeleteResult {
    const ticket = this.findOf(tenure, key);
    if (ticket === NONE) return 'absent';
    if (isNewer(this.#columns.generationOf(ticket), generation)) return 'newer';
    this.remove(ticket);
    return 'removed';
  }

  /** The live ticket of the flow that was learned last, or {@link NONE}. Counts as use. */
  find(key: FlowKey): number {
    const columns = this.#columns;
    const hash = keyHash(key, this.#seed);
    for (let at = this.#index.head(hash); at !== NONE; at = columns.nextOf(at)) {
      if (columns.hashOf(at) !== hash || !columns.keyEquals(at, key)) continue;
      if (this.#tenures[columns.tenureOf(at)]!.state !== 'live') continue;
      columns.setUsed(at, true);
      return at;
    }
    return NONE;
  }

  /**
   * Owners of the flow, the one learned last first, paused ones last; void ones never.
   * @returns how many were written to `out`.
   */
  ownersOf(key: FlowKey, out: Tenure[]): number {
    const columns = this.#columns;
    const hash = keyHash(key, this.#seed);
    let count = 0;
    for (const state of ['live', 'paused'] as const) {
      for (let at = this.#index.head(hash); at !== NONE; at = columns.nextOf(at)) {
        if (columns.hashOf(at) !== hash || !columns.keyEquals(at, key)) continue;
        const tenure = this.#tenures[columns.tenureOf(at)]!;
        if (tenure.state !== state) continue;
        columns.setUsed(at, true);
        out[count++] = tenure;
      }
    }
    return count;
  }

  /** The ticket of this tenure for the flow, or {@link NONE}. */
  findOf(tenure: Tenure, key: FlowKey): number {
    return this.#find(tenure, key, keyHash(key, this.#seed));
  }

  remove(ticket: number): void {
    const columns = this.#columns;
    const tenure = this.#tenures[columns.tenureOf(ticket)]!;
    const key = this.#scratch;
    columns.readKey(ticket, key);
    const chain = tenure.chainOf(columns.bucketOf(ticket));
    const next = columns.chainNextOf(ticket);
    const previous = columns.chainPreviousOf(ticket);
    if (previous === NONE) tenure.heads[chain] = next;
    else columns.setChainNext(previous, next);
    if (next !== NONE) columns.setChainPrevious(next, previous);
    tenure.counts[chain]!--;
    tenure.digests[chain]! ^= ticketDigest(key, columns.generationOf(ticket));
    tenure.count--;
    this.#size--;
    this.#index.remove(ticket);
    columns.free(ticket);
    if (tenure !== this.own && this.#changes !== undefined) {
      const other = this.find(key);
      const heir = other === NONE ? this.own : this.tenureOfTicket(other);
      if (heir === this.own) this.#changes.voided(key);
      else this.#changes.learned(key, heir.peer);
    }
  }

  /**
   * Takes back the memory of void tickets.
   * @param most Tickets to remove in this call.
   * @returns true when more wait.
   */
  sweep(most: number): boolean {
    let left = most;
    for (let tenure = this.#voided[0]; tenure !== undefined; tenure = this.#voided[0]) {
      for (let chain = 0; chain < tenure.chains; chain++) {
        for (let at = tenure.heads[chain]!; at !== NONE; at = tenure.heads[chain]!) {
          if (left-- <= 0) return true;
          this.remove(at);
        }
      }
      this.#tenures[tenure.id] = undefined;
      this.#voided.shift();
    }
    return false;
  }

  tenureOfTicket(ticket: number): Tenure {
    return this.#tenures[this.#columns.tenureOf(ticket)]!;
  }

  bucketOf(ticket: number): number {
    return this.#columns.bucketOf(ticket);
  }

  generationOf(ticket: number): number {
    return this.#columns.generationOf(ticket);
  }

  readKey(ticket: number, key: FlowKey): void {
    this.#columns.readKey(ticket, key);
  }

  /** First ticket of a chain, or {@link NONE}; go on with {@link nextInChain}. */
  firstInChain(tenure: Tenure, chain: number): number {
    return tenure.heads[chain]!;
  }

  /** Ask before removing `ticket`. */
  nextInChain(ticket: number): number {
    return this.#columns.chainNextOf(ticket);
  }

  /** Tickets are numbers below this; some of them may be free. */
  get top(): number {
    return this.#columns.top;
  }

  /** The number stands for a ticket of another owner. */
  isForeign(ticket: number): boolean {
    const id = this.#columns.tenureOf(ticket);
    return id !== FREE && id !== this.own.id;
  }

  isMarked(ticket: number): boolean {
    return this.#columns.markOf(ticket);
  }

  /** A note for one pass over some tickets; whoever sets it takes it away. */
  setMark(ticket: number, mark: boolean): void {
    this.#columns.setMark(ticket, mark);
  }

  #find(tenure: Tenure, key: FlowKey, hash: number): number {
    const columns = this.#columns;
    for (let at = this.#index.head(hash); at !== NONE; at = columns.nextOf(at)) {
      if (
        columns.hashOf(at) === hash &&
        columns.tenureOf(at) === tenure.id &&
        columns.keyEquals(at, key)
      ) {
        return at;
      }
    }
    return NONE;
  }

  #renew(ticket: number, tenure: Tenure, key: FlowKey, generation: number): PutResult {
    const columns = this.#columns;
    const before = columns.generationOf(ticket);
    if (before === generation) return 'same';
    if (isNewer(before, generation)) return 'stale';
    columns.setGeneration(ticket, generation);
    const chain = tenure.chainOf(columns.bucketOf(ticket));
    tenure.digests[chain]! ^= ticketDigest(key, before) ^ ticketDigest(key, generation);
    // To the front: the newest news of a flow answers.
    this.#index.remove(ticket);
    this.#index.insert(ticket);
    if (tenure !== this.own) this.#changes?.learned(key, tenure.peer);
    return 'renewed';
  }

  /** Second chance (Corbató's clock): void and unused tickets of others go, own ones stay. */
  #evictOne(): boolean {
    const columns = this.#columns;
    for (let step = 0; step < HAND_STEPS; step++) {
      if (this.#hand >= columns.top) this.#hand = 0;
      const at = this.#hand++;
      const id = columns.tenureOf(at);
      if (id === FREE || id === this.own.id) continue;
      const tenure = this.#tenures[id]!;
      if (tenure.state === 'live' && columns.usedOf(at)) {
        columns.setUsed(at, false);
        continue;
      }
      tenure.evicted++;
      this.#evictions++;
      this.remove(at);
      return true;
    }
    return false;
  }
}
