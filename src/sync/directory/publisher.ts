/** The owner's side: its own tickets, and a stream of their changes to every home. */
import { readAck } from '../../proto/ticket-frame.ts';
import { type FlowKey, isNewer, KEY_WORDS } from '../../proto/ticket-key.ts';
import type { Outbox, PeerIndex, PeerTable } from '../core.ts';
import type { Homes } from '../homes.ts';
import { NO_HOME } from '../homes-build.ts';
import { Pace } from '../pace.ts';
import { NONE } from '../ticket-columns.ts';
import type { DeleteResult, PutResult, TicketStore } from '../ticket-store.ts';
import { CHANNEL_FRAME } from './channels.ts';
import { OutStream, type OutStreamLimits, SEQUENCE_MAX } from './out-stream.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** Moved tickets are sent in so many slices; the burst of one must fit the socket. */
const SLICES_PER_SECOND = 200;
/** Empty buckets cost a little too. */
const BUCKETS_PER_SLICE = 8_192;

export class Publisher {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #peers: PeerTable;
  readonly #limits: OutStreamLimits;
  readonly #pace: Pace;
  readonly #streams: (OutStream | undefined)[] = [];
  readonly #active = new Set<PeerIndex>();
  readonly #blank = new Set<PeerIndex>();
  readonly #key = new Uint32Array(KEY_WORDS);
  #out: Outbox | undefined;
  #lastStream = 0;
  #dueMs = NEVER;
  #newest = 0;
  /** Rows before the last change, while the moved buckets are sent; next bucket to look at. */
  #movedFrom: Uint16Array | undefined;
  #cursor = 0;
  #touched = false;
  #republished = 0;
  #overflowed = 0;
  #resent = 0;
  #frames = 0;
  #frameBytes = 0;

  constructor(
    store: TicketStore,
    homes: Homes,
    peers: PeerTable,
    limits: OutStreamLimits,
    republishPerSecond: number,
  ) {
    this.#store = store;
    this.#homes = homes;
    this.#peers = peers;
    this.#limits = limits;
    this.#pace = new Pace(republishPerSecond, Math.max(1, republishPerSecond / SLICES_PER_SECOND));
  }

  /** Newest generation given to {@link publish}. */
  get newestGeneration(): number {
    return this.#newest;
  }

  /** The peer said that it keeps nothing of ours, and was told nothing since. */
  isBlank(peer: PeerIndex): boolean {
    return this.#blank.has(peer);
  }

  setBlank(peer: PeerIndex, blank: boolean): void {
    if (blank) this.#blank.add(peer);
    else this.#blank.delete(peer);
  }

  /** True once after records were given to streams. */
  takeTouched(): boolean {
    const was = this.#touched;
    this.#touched = false;
    return was;
  }

  /** The same without taking. */
  get touched(): boolean {
    return this.#touched;
  }

  /** Moved buckets are still being sent. */
  get republishing(): boolean {
    return this.#movedFrom !== undefined;
  }

  get republished(): number {
    return this.#republished;
  }

  get overflowed(): number {
    return this.#sum(this.#overflowed, (stream) => stream.overflowed);
  }

  get resent(): number {
    return this.#sum(this.#resent, (stream) => stream.resent);
  }

  get windowBytes(): number {
    return this.#sum(0, (stream) => stream.windowBytes);
  }

  get frames(): number {
    return this.#frames;
  }

  get frameBytes(): number {
    return this.#frameBytes;
  }

  /** Everything sent from here on goes to this outbox. */
  bind(out: Outbox): void {
    this.#out = out;
  }

  publish(nowMs: number, bucket: number, key: FlowKey, generation: number): PutResult {
    const result = this.#store.put(this.#store.own, bucket, key, generation);
    if (result !== 'added' && result !== 'renewed') return result;
    if (isNewer(generation, this.#newest)) this.#newest = generation;
    this.#spread(nowMs, false, bucket, key, generation);
    return result;
  }

  end(nowMs: number, bucket: number, key: FlowKey, generation: number): DeleteResult {
    const result = this.#store.delete(this.#store.own, key, generation);
    if (result === 'removed') this.#spread(nowMs, true, bucket, key, generation);
    return result;
  }

  streamTo(peer: PeerIndex): OutStream | undefined {
    return this.#streams[peer];
  }

  /** Starts anew towards a peer that lives. What it has or lacks is for anti-entropy to find. */
  open(peer: PeerIndex): void {
    this.close(peer);
    this.#lastStream++;
    this.#streams[peer] = new OutStream(this.#lastStream, this.#limits, (frame) => {
      this.#frames++;
      this.#frameBytes += frame.length;
      this.#out?.send(peer, CHANNEL_FRAME, frame);
    });
  }

  close(peer: PeerIndex): void {
    const stream = this.#streams[peer];
    if (stream === undefined) return;
    this.#overflowed += stream.overflowed;
    this.#resent += stream.resent;
    this.#streams[peer] = undefined;
    this.#active.delete(peer);
  }

  /** The table changed: own tickets of moved buckets go to their new homes, paced. */
  tableChanged(nowMs: number, before: Uint16Array): void {
    this.#movedFrom = before;
    this.#cursor = 0;
    this.#dueMs = Math.min(this.#dueMs, nowMs);
  }

  acknowledged(nowMs: number, from: PeerIndex, body: Uint8Array): boolean {
    const ack = readAck(body);
    if (ack === undefined) return false;
    const stream = this.#streams[from];
    if (stream?.id === ack.stream) {
      stream.acknowledge(nowMs, ack, this.#peers.rttMs(from));
      this.#wake(from, stream);
    }
    return true;
  }

  postpone(lateMs: number): void {
    for (const stream of this.#streams) stream?.postpone(lateMs);
  }

  service(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = NEVER;
    if (this.#movedFrom !== undefined) this.#republish(nowMs, this.#movedFrom);
    for (const peer of this.#active) {
      const stream = this.#streams[peer]!;
      stream.service(nowMs, this.#peers.rttMs(peer));
      if (stream.lastSent > SEQUENCE_MAX) this.open(peer);
      else this.#wake(peer, stream);
    }
  }

  nextWakeupMs(): number {
    return this.#dueMs;
  }

  /** Notes when the stream wants service, after something was given to it. */
  #wake(peer: PeerIndex, stream: OutStream): void {
    const nextMs = stream.nextWakeupMs(this.#peers.rttMs(peer));
    if (nextMs === NEVER) {
      this.#active.delete(peer);
      return;
    }
    this.#active.add(peer);
    if (nextMs < this.#dueMs) this.#dueMs = nextMs;
  }

  /** To the homes of the row, and of the row before while a change settles. */
  #spread(nowMs: number, ended: boolean, bucket: number, key: FlowKey, generation: number): void {
    const { rows, previousRows, replicas } = this.#homes;
    const at = bucket * replicas;
    for (let i = at; i < at + replicas; i++) {
      this.#give(rows[i]!, nowMs, ended, bucket, key, generation);
    }
    if (previousRows === undefined) return;
    for (let i = at; i < at + replicas; i++) {
      const peer = previousRows[i]!;
      if (this.#homes.isHome(peer, bucket)) continue;
      this.#give(peer, nowMs, ended, bucket, key, generation);
    }
  }

  #give(
    peer: PeerIndex,
    nowMs: number,
    ended: boolean,
    bucket: number,
    key: FlowKey,
    generation: number,
  ): void {
    const stream = peer === NO_HOME ? undefined : this.#streams[peer];
    if (stream === undefined) return;
    stream.add(nowMs, ended, bucket, key, generation);
    this.#touched = true;
    this.#blank.delete(peer);
    this.#active.add(peer);
    const dueMs = nowMs + this.#limits.flushMs;
    if (dueMs < this.#dueMs) this.#dueMs = dueMs;
  }

  #republish(nowMs: number, before: Uint16Array): void {
    const { own } = this.#store;
    const { rows, replicas, buckets } = this.#homes;
    let looked = 0;
    while (this.#cursor < buckets && looked < BUCKETS_PER_SLICE && this.#pace.open(nowMs)) {
      const bucket = this.#cursor++;
      looked++;
      if (own.counts[bucket] === 0) continue;
      const at = bucket * replicas;
      for (let i = at; i < at + replicas; i++) {
        const peer = rows[i]!;
        if (peer === NO_HOME || inRow(before, at, replicas, peer)) continue;
        const stream = this.#streams[peer];
        if (stream === undefined || stream.congested) continue;
        this.#pace.spend(nowMs, own.counts[bucket]!);
        this.#resendBucket(nowMs, bucket, peer);
      }
    }
    if (this.#cursor >= buckets) this.#movedFrom = undefined;
    else this.#dueMs = Math.min(this.#dueMs, nowMs + this.#limits.flushMs);
  }

  #resendBucket(nowMs: number, bucket: number, peer: PeerIndex): void {
    const store = this.#store;
    for (let at = store.firstInChain(store.own, bucket); at !== NONE; at = store.nextInChain(at)) {
      store.readKey(at, this.#key);
      this.#give(peer, nowMs, false, bucket, this.#key, store.generationOf(at));
      this.#republished++;
    }
  }

  #sum(start: number, of: (stream: OutStream) => number): number {
    let sum = start;
    for (const stream of this.#streams) if (stream !== undefined) sum += of(stream);
    return sum;
  }
}

function inRow(rows: Uint16Array, at: number, replicas: number, peer: PeerIndex): boolean {
  for (let i = at; i < at + replicas; i++) if (rows[i] === peer) return true;
  return false;
}
