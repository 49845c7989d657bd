/** The home's side: keeps other owners' tickets, confirms their frames, compares their digests. */
import {
  DIGEST_GROUPS,
  type DigestMessage,
  type Digests,
  digestEcho,
  emptyDigests,
  NO_CELLS,
  type ReplyStatus,
  readDigest,
  readSnapshotHead,
  SNAPSHOT_HEAD_BYTES,
  type SnapshotHead,
  writeReply,
} from '../../proto/ticket-digest.ts';
import { readFrame, writeAck } from '../../proto/ticket-frame.ts';
import { type FlowKey, isNewer, KEY_WORDS, ticketDigest } from '../../proto/ticket-key.ts';
import { type RecordReader, readPart } from '../../proto/ticket-part.ts';
import { FRAME_BYTES_MAX, type Outbox, type PeerIndex, type PeerTable } from '../core.ts';
import type { Homes } from '../homes.ts';
import { Pace } from '../pace.ts';
import { NONE } from '../ticket-columns.ts';
import type { TicketStore } from '../ticket-store.ts';
import type { Tenure } from '../ticket-tenure.ts';
import { type Cells, cellsOf } from './cells.ts';
import { CHANNEL_ACK, CHANNEL_REPLY } from './channels.ts';
import { Checks, mayAsk } from './checks.ts';
import { InStream, type InStreamTimes } from './in-stream.ts';
import type { DirectorySettings } from './settings.ts';
import { Strays } from './strays.ts';

const NEVER = Number.POSITIVE_INFINITY;
const TICK_MS = 5;
/** After this long a missing frame is taken for lost, and digests are compared without it. */
const GAP_PATIENCE_MS = 2_000;
/** Differing groups told per digest; the next digest brings the rest. */
const DIFFERENCES_PER_DIGEST = 32;
/** While tables change, digests are made by walking: at most this many tickets per second. */
const WALKS_PER_SECOND = 400_000;
/** Tickets walked for one message: about 5 ms. */
const WALK_MAX = 50_000;
/** Share of the capacity from which a home that let tickets go counts as full. */
const FULL = 0.98;

/** What the keeper tells of each ticket that is new to it, so that waiting finds can end. */
export type Learned = (key: FlowKey, owner: PeerIndex) => void;

export class Keeper {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #peers: PeerTable;
  readonly #settings: DirectorySettings;
  readonly #times: InStreamTimes;
  readonly #cells: Cells;
  readonly #walks = new Pace(WALKS_PER_SECOND, WALK_MAX);
  readonly #checks: Checks;
  readonly #strays: Strays;
  readonly #streams: (InStream | undefined)[] = [];
  /** Owners whose frames wait for an acknowledgement. */
  readonly #unacked = new Set<PeerIndex>();
  /** Dead owners and when their tickets go. */
  readonly #paused = new Map<PeerIndex, number>();
  readonly #body = new Uint8Array(FRAME_BYTES_MAX);
  readonly #walked = emptyDigests();
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly #learned: Learned;
  readonly #reader: RecordReader;
  #out: Outbox | undefined;
  /** Owner and stream of the part that is being read. */
  #tenure: Tenure | undefined;
  #stream: InStream | undefined;
  #dueMs = NEVER;
  #sweepAtMs = NEVER;
  #records = 0;
  #foreign = 0;
  #malformed = 0;
  #refused = 0;

  constructor(
    store: TicketStore,
    homes: Homes,
    peers: PeerTable,
    settings: DirectorySettings,
    times: InStreamTimes,
    learned: Learned,
  ) {
    this.#store = store;
    this.#homes = homes;
    this.#peers = peers;
    this.#settings = settings;
    this.#times = times;
    this.#cells = cellsOf(homes.buckets);
    this.#checks = new Checks(peers, 2 * settings.digestMs, settings.quietDigestMs);
    this.#strays = new Strays(store, homes, peers.self);
    this.#learned = learned;
    this.#reader = {
      born: (bucket, key, generation) => this.#born(bucket, key, generation),
      ended: (bucket, key, generation) => this.#ended(bucket, key, generation),
    };
  }

  /** Records applied. */
  get records(): number {
    return this.#records;
  }

  /** Bodies and records that could not be used: not of this protocol, or a bucket out of range. */
  get malformed(): number {
    return this.#malformed + this.#foreign;
  }

  /** Tickets dropped because other nodes are their homes now. */
  get strays(): number {
    return this.#strays.removed;
  }

  /** Tickets refused because nothing could make room. */
  get refused(): number {
    return this.#refused;
  }

  bind(out: Outbox): void {
    this.#out = out;
    this.#checks.bind(out);
  }

  /** The peer lives, in a new life or the one we know. */
  alive(peer: PeerIndex, boot: number): void {
    this.#paused.delete(peer);
    const tenure = this.#store.tenureOf(peer);
    if (tenure === undefined) return;
    if (tenure.boot !== boot) this.#store.void(tenure);
    else tenure.state = 'live';
  }

  /** The peer died or left: nothing of it answers from now on. */
  dead(nowMs: number, peer: PeerIndex): void {
    this.#checks.end(peer);
    const tenure = this.#store.tenureOf(peer);
    if (tenure === undefined || this.#paused.has(peer)) return;
    tenure.state = 'paused';
    const dueMs = nowMs + this.#settings.keepDeadMs;
    this.#paused.set(peer, dueMs);
    this.#dueMs = Math.min(this.#dueMs, dueMs);
  }

  /** Its memory of streams is gone, so ours of what it sent is worth nothing. */
  restarted(peer: PeerIndex): void {
    this.#streams[peer] = undefined;
    this.#unacked.delete(peer);
    this.#checks.end(peer);
  }

  forget(peer: PeerIndex): void {
    this.restarted(peer);
    this.#paused.delete(peer);
    const tenure = this.#store.tenureOf(peer);
    if (tenure !== undefined) this.#store.void(tenure);
  }

  /** Asks the owner to compare soon. */
  requestCheck(nowMs: number, peer: PeerIndex): void {
    this.#checks.request(nowMs, peer);
  }

  tableChanged(nowMs: number): void {
    // A stray's owner told us nothing about it for a while. With this table it may be no stray any
    // more, and the owner may rely on what we said when we left strays out.
    if (this.#strays.allowed) this.#checkAll(nowMs);
    this.#strays.tableChanged();
    this.#dueMs = Math.min(this.#dueMs, nowMs);
  }

  frame(nowMs: number, from: PeerIndex, body: Uint8Array): void {
    const frame = readFrame(body);
    const tenure = frame === undefined ? undefined : this.#tenureFor(nowMs, from);
    if (frame === undefined || tenure === undefined) {
      this.#malformed++;
      return;
    }
    const stream = this.#streamFrom(from);
    if (!stream.adopt(frame.stream)) return;
    const { own, repeated } = stream.accept(nowMs, frame);
    if (repeated) this.#read(stream, tenure, body, frame.repeatedAt);
    if (own) this.#read(stream, tenure, body, frame.at);
    stream.settle();
    this.#unacked.add(from);
    this.#dueMs = Math.min(this.#dueMs, stream.ackAtMs);
  }

  digest(nowMs: number, from: PeerIndex, body: Uint8Array): void {
    const message = readDigest(body);
    const tenure = message === undefined ? undefined : this.#tenureFor(nowMs, from);
    if (message === undefined || tenure === undefined) {
      this.#malformed++;
      return;
    }
    const stream = this.#streamFrom(from);
    if (!stream.adopt(message.stream)) return;
    const echo = mayAsk(this.#peers, from) ? digestEcho(message.table, message) : undefined;
    const reply = (status: ReplyStatus, group = 0, cells = NO_CELLS): void => {
      const { sequence } = message;
      const facts = { stream: message.stream, sequence, status, group, cells, echo };
      const length = writeReply(this.#body, facts);
      this.#out?.send(from, CHANNEL_REPLY, this.#body.subarray(0, length));
    };
    if (stream.announce(nowMs, message.sequence)) {
      this.#unacked.add(from);
      this.#dueMs = Math.min(this.#dueMs, stream.ackAtMs);
    }
    // What is under way would look like a difference. But a gap that does not close must not keep
    // the two sides from comparing.
    const gapMs = nowMs - stream.gapSinceMs;
    const aligned =
      stream.highest <= message.sequence &&
      (stream.complete === message.sequence || gapMs > GAP_PATIENCE_MS);
    if (!aligned || message.table !== this.#homes.hash || message.table === 0) {
      reply('busy');
      return;
    }
    const mine = this.#digestsOf(nowMs, tenure);
    if (mine === undefined) {
      reply('busy');
      return;
    }
    this.#checks.end(from);
    const groups = differing(message, mine);
    if (groups.length === 0) reply('equal');
    else if (tenure.evicted > 0 && this.#store.size >= this.#store.capacity * FULL) reply('full');
    else {
      let walked = 0;
      for (const group of groups.slice(0, DIFFERENCES_PER_DIGEST)) {
        reply('differs', group, this.#cellsOf(tenure, group));
        walked += tenure.counts[group]!;
        if (walked > WALK_MAX) break;
      }
    }
  }

  snapshot(nowMs: number, from: PeerIndex, body: Uint8Array): void {
    const head = readSnapshotHead(body);
    const tenure = head === undefined ? undefined : this.#tenureFor(nowMs, from);
    if (head === undefined || tenure === undefined) {
      this.#malformed++;
      return;
    }
    const stream = this.#streamFrom(from);
    if (!stream.adopt(head.stream)) return;
    const store = this.#store;
    const latest = stream.highest <= head.sequence;
    const end = head.firstBucket + head.buckets;
    readPart(body, SNAPSHOT_HEAD_BYTES, {
      born: (bucket, key, generation) => {
        if (bucket < head.firstBucket || bucket >= end || bucket >= this.#homes.buckets) {
          this.#foreign++;
          return;
        }
        const known = store.findOf(tenure, key);
        // Nothing can be newer than the owner's own word, whatever its generation says.
        if (latest && known !== NONE && isNewer(store.generationOf(known), generation)) {
          store.remove(known);
        }
        this.#put(tenure, bucket, key, generation);
        const ticket = store.findOf(tenure, key);
        if (ticket !== NONE) store.setMark(ticket, true);
      },
      ended: () => {},
    });
    // With another table the owner may think that others keep what is missing here.
    const whole = !head.partial && head.table === this.#homes.hash;
    this.#unmark(tenure, head, whole, latest);
    // It may have brought back what later frames had ended.
    if (!latest) this.requestCheck(nowMs, from);
  }

  postpone(lateMs: number): void {
    for (const [peer, dueMs] of this.#paused) this.#paused.set(peer, dueMs + lateMs);
  }

  service(nowMs: number): void {
    this.#checks.service(nowMs);
    if (nowMs >= this.#dueMs) {
      this.#dueMs = NEVER;
      this.#acknowledge(nowMs);
      this.#voidPaused(nowMs);
      this.#dueMs = Math.min(this.#dueMs, this.#strays.start(nowMs) ?? NEVER);
    }
    if (this.#store.voided > 0 || this.#strays.sweeping) {
      if (nowMs >= this.#sweepAtMs || this.#sweepAtMs === NEVER) this.#sweep(nowMs);
    }
  }

  nextWakeupMs(nowMs: number): number {
    const sweeping = this.#store.voided > 0 || this.#strays.sweeping;
    const dueMs = Math.min(this.#dueMs, this.#checks.nextWakeupMs());
    if (!sweeping) return dueMs;
    return Math.min(dueMs, this.#sweepAtMs === NEVER ? nowMs : this.#sweepAtMs);
  }

  #streamFrom(peer: PeerIndex): InStream {
    let stream = this.#streams[peer];
    if (stream === undefined) {
      stream = new InStream(this.#times);
      this.#streams[peer] = stream;
    }
    return stream;
  }

  #tenureFor(nowMs: number, peer: PeerIndex): Tenure | undefined {
    const member = this.#peers.get(peer);
    if (member === undefined) return undefined;
    const tenure = this.#store.open(peer, member.boot);
    if (member.status === 'dead' || member.status === 'left') this.dead(nowMs, peer);
    return tenure;
  }

  #read(stream: InStream, tenure: Tenure, body: Uint8Array, at: number): void {
    this.#stream = stream;
    this.#tenure = tenure;
    readPart(body, at, this.#reader);
  }

  #born(bucket: number, key: FlowKey, generation: number): void {
    if (bucket >= this.#homes.buckets) {
      this.#foreign++;
      return;
    }
    this.#records++;
    if (!this.#stream!.endedBefore(key, generation)) {
      this.#put(this.#tenure!, bucket, key, generation);
    }
  }

  #ended(bucket: number, key: FlowKey, generation: number): void {
    if (bucket >= this.#homes.buckets) {
      this.#foreign++;
      return;
    }
    this.#records++;
    this.#stream!.ended(key, generation);
    this.#store.delete(this.#tenure!, key, generation);
  }

  #put(tenure: Tenure, bucket: number, key: FlowKey, generation: number): void {
    const result = this.#store.put(tenure, bucket, key, generation);
    if (result === 'full') this.#refused++;
    else if (result === 'added' || result === 'renewed') this.#learned(key, tenure.peer);
  }

  #acknowledge(nowMs: number): void {
    for (const peer of this.#unacked) {
      const stream = this.#streams[peer]!;
      if (nowMs >= stream.ackAtMs) {
        const length = writeAck(this.#body, stream.takeAck(nowMs));
        this.#out?.send(peer, CHANNEL_ACK, this.#body.subarray(0, length));
      }
      if (stream.ackAtMs === NEVER) this.#unacked.delete(peer);
      else this.#dueMs = Math.min(this.#dueMs, stream.ackAtMs);
    }
  }

  #voidPaused(nowMs: number): void {
    for (const [peer, dueMs] of this.#paused) {
      if (nowMs < dueMs) {
        this.#dueMs = Math.min(this.#dueMs, dueMs);
        continue;
      }
      this.#paused.delete(peer);
      const tenure = this.#store.tenureOf(peer);
      if (tenure !== undefined) this.#store.void(tenure);
    }
  }

  #sweep(nowMs: number): void {
    const most = this.#settings.sweepPerTick;
    this.#store.sweep(most);
    // Between two tables of ours an owner may have seen none, and count on what went.
    for (const owner of this.#strays.sweep(most) ?? []) this.requestCheck(nowMs, owner);
    const more = this.#store.voided > 0 || this.#strays.sweeping;
    this.#sweepAtMs = more ? nowMs + TICK_MS : NEVER;
  }

  #checkAll(nowMs: number): void {
    for (const peer of this.#peers.indices()) {
      const tenure = this.#store.tenureOf(peer);
      if (peer === this.#peers.self || tenure === undefined || tenure.count === 0) continue;
      if (tenure.state === 'live') this.#checks.request(nowMs, peer);
    }
  }

  /** What this home keeps for an owner, until the next call, or `undefined`: it cannot tell now. */
  #digestsOf(nowMs: number, tenure: Tenure): Digests | undefined {
    if (!this.#strays.allowed) return { counts: tenure.counts, hashes: tenure.digests };
    if (!this.#walks.take(nowMs, tenure.count)) return undefined;
    const { counts, hashes } = this.#walked;
    counts.fill(0);
    hashes.fill(0);
    const store = this.#store;
    for (let group = 0; group < DIGEST_GROUPS; group++) {
      for (let at = store.firstInChain(tenure, group); at !== NONE; at = store.nextInChain(at)) {
        if (!this.#stays(at)) continue;
        counts[group]!++;
        hashes[group]! ^= this.#hashOf(at);
      }
    }
    return this.#walked;
  }

  #cellsOf(tenure: Tenure, group: number): Digests {
    const { bucketsPerGroup, bucketsPerCell, cellsPerGroup } = this.#cells;
    const cells = emptyDigests(cellsPerGroup);
    const store = this.#store;
    for (let at = store.firstInChain(tenure, group); at !== NONE; at = store.nextInChain(at)) {
      if (!this.#stays(at)) continue;
      const first = group * bucketsPerGroup;
      const cell = Math.floor((store.bucketOf(at) - first) / bucketsPerCell);
      cells.counts[cell]!++;
      cells.hashes[cell]! ^= this.#hashOf(at);
    }
    return cells;
  }

  /** Whether a ticket counts: while strays are allowed, only those of buckets kept here do. */
  #stays(ticket: number): boolean {
    const bucket = this.#store.bucketOf(ticket);
    return !this.#strays.allowed || this.#homes.isHome(this.#peers.self, bucket);
  }

  #hashOf(ticket: number): number {
    this.#store.readKey(ticket, this.#key);
    return ticketDigest(this.#key, this.#store.generationOf(ticket));
  }

  /**
   * Ends what a whole snapshot did not name, except what is younger than the snapshot: nothing can
   * be when no later frame was applied (`latest`), else generations must tell.
   */
  #unmark(tenure: Tenure, head: SnapshotHead, whole: boolean, latest: boolean): void {
    const store = this.#store;
    const last = head.firstBucket + head.buckets - 1;
    if (last >= this.#homes.buckets) return;
    for (let group = tenure.chainOf(head.firstBucket); group <= tenure.chainOf(last); group++) {
      let next: number;
      for (let at = store.firstInChain(tenure, group); at !== NONE; at = next) {
        next = store.nextInChain(at);
        const bucket = store.bucketOf(at);
        if (bucket < head.firstBucket || bucket > last) continue;
        if (store.isMarked(at)) store.setMark(at, false);
        else if (whole && (latest || !isNewer(store.generationOf(at), head.generation))) {
          store.remove(at);
        }
      }
    }
  }
}

function differing(theirs: DigestMessage, mine: Digests): number[] {
  const groups: number[] = [];
  for (let group = 0; group < DIGEST_GROUPS; group++) {
    if (
      theirs.counts[group] !== mine.counts[group] ||
      theirs.hashes[group] !== mine.hashes[group]
    ) {
      groups.push(group);
    }
  }
  return groups;
}
