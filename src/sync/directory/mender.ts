/**
 * The owner's side of anti-entropy: tells each home in digests what it should have, and sends whole
 * buckets again where the home's own digests differ.
 */
import {
  type Digests,
  emptyDigests,
  readReply,
  SNAPSHOT_HEAD_BYTES,
  writeDigest,
  writeSnapshotHead,
} from '../../proto/ticket-digest.ts';
import { KEY_WORDS } from '../../proto/ticket-key.ts';
import { PartWriter } from '../../proto/ticket-part.ts';
import { FRAME_BYTES_MAX, type Outbox, type PeerIndex } from '../core.ts';
import type { Homes } from '../homes.ts';
import { mix32 } from '../homes-score.ts';
import type { Random } from '../random.ts';
import { NONE } from '../ticket-columns.ts';
import type { TicketStore } from '../ticket-store.ts';
import { type Cells, cellsOf } from './cells.ts';
import { CHANNEL_DIGEST, CHANNEL_SNAPSHOT } from './channels.ts';
import { Pace } from './pace.ts';
import type { Publisher } from './publisher.ts';
import type { DirectorySettings } from './settings.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A message of the bulk stream. Bigger ones would hold up other users of the stream. */
const SNAPSHOT_BYTES = 32_768;
/** Homes are measured in one pass over the table; this many passes per `digestMs`. */
const PASSES = 8;
/** Digests of one pass: 500 at once would be a burst of a quarter megabyte. */
const DIGESTS_PER_PASS = 64;
const REFUSED_WAIT_MS = 100;

/** One digest as it was sent. */
interface Told {
  readonly atMs: number;
  /** Last frame sent before it, version of the table, and a hash of all its groups. */
  readonly sequence: number;
  readonly table: number;
  readonly summary: number;
}

interface HomeState {
  /** When it was last looked at whether a digest is needed. */
  lookedAtMs: number;
  /** No digest before this. */
  notBeforeMs: number;
  told: Told | undefined;
  /** The last that the home called equal. `table` moves on when a new table changes nothing. */
  equal: Told | undefined;
  /** Cells to send again, by group: a flag per cell. */
  readonly wanted: Map<number, Uint8Array>;
}

export class Mender {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #publisher: Publisher;
  readonly #settings: DirectorySettings;
  readonly #cells: Cells;
  readonly #pace: Pace;
  readonly #phaseMs: number;
  readonly #states: (HomeState | undefined)[] = [];
  readonly #repairs = new Set<PeerIndex>();
  /** One per digest of a pass, used again in the next. */
  readonly #sums: Digests[] = [];
  readonly #body = new Uint8Array(FRAME_BYTES_MAX);
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly #snapshot = new Uint8Array(SNAPSHOT_BYTES);
  readonly #part = new PartWriter(SNAPSHOT_BYTES - SNAPSHOT_HEAD_BYTES);
  #out: Outbox | undefined;
  #ready: boolean;
  #passAtMs: number;
  #repairAtMs = NEVER;
  #nextDueMs = Number.NEGATIVE_INFINITY;
  #version = 0;
  #digests = 0;
  #snapshots = 0;
  #snapshotBytes = 0;
  #repaired = 0;

  constructor(
    store: TicketStore,
    homes: Homes,
    publisher: Publisher,
    settings: DirectorySettings,
    random: Random,
  ) {
    this.#store = store;
    this.#homes = homes;
    this.#publisher = publisher;
    this.#settings = settings;
    this.#cells = cellsOf(homes.buckets);
    this.#pace = new Pace(settings.repairBytesPerSecond, SNAPSHOT_BYTES * 2);
    this.#phaseMs = settings.digestMs / PASSES;
    this.#ready = settings.antiEntropy && !settings.restoring;
    // Nodes that start together shall not send their digests together.
    this.#passAtMs = random.between(0, this.#phaseMs);
  }

  get digestsSent(): number {
    return this.#digests;
  }

  get snapshotsSent(): number {
    return this.#snapshots;
  }

  get snapshotBytes(): number {
    return this.#snapshotBytes;
  }

  /** Tickets sent in snapshots. */
  get repaired(): number {
    return this.#repaired;
  }

  bind(out: Outbox): void {
    this.#out = out;
  }

  /** All tickets of an earlier run were published again: from now on absence means ended. */
  restored(): void {
    this.#ready = this.#settings.antiEntropy;
  }

  open(nowMs: number, peer: PeerIndex): void {
    this.#states[peer] = {
      lookedAtMs: Number.NEGATIVE_INFINITY,
      notBeforeMs: nowMs,
      told: undefined,
      equal: undefined,
      wanted: new Map(),
    };
    this.#nextDueMs = Math.min(this.#nextDueMs, nowMs);
    this.#repairs.delete(peer);
  }

  close(peer: PeerIndex): void {
    this.#states[peer] = undefined;
    this.#repairs.delete(peer);
  }

  /** The home asks for a digest soon. */
  check(nowMs: number, peer: PeerIndex): void {
    const state = this.#states[peer];
    if (state === undefined) return;
    state.equal = undefined;
    state.notBeforeMs = nowMs;
    state.lookedAtMs = Number.NEGATIVE_INFINITY;
    this.#nextDueMs = Math.min(this.#nextDueMs, nowMs);
  }

  nextWakeupMs(): number {
    if (!this.#ready) return NEVER;
    // Nothing is due before `#nextDueMs` unless something is sent meanwhile.
    const { touched, republishing } = this.#publisher;
    const moved = touched || republishing || this.#version !== this.#homes.version;
    const passAtMs = moved ? this.#passAtMs : Math.max(this.#passAtMs, this.#nextDueMs);
    return Math.min(passAtMs, this.#repairAtMs);
  }

  service(nowMs: number): void {
    if (!this.#ready) return;
    if (nowMs >= this.#passAtMs && this.#mayBeDue(nowMs)) {
      this.#passAtMs = nowMs + this.#phaseMs;
      this.#sendDue(nowMs);
    }
    if (nowMs >= this.#repairAtMs) this.#repair(nowMs);
  }

  /** @returns false for bytes that are no reply. */
  replied(nowMs: number, from: PeerIndex, body: Uint8Array): boolean {
    const reply = readReply(body);
    if (reply === undefined) return false;
    const state = this.#states[from];
    const stream = this.#publisher.streamTo(from);
    if (state === undefined || stream?.id !== reply.stream || !this.#ready) return true;
    if (reply.status === 'equal') {
      if (state.told?.sequence === reply.sequence) state.equal = state.told;
    } else if (reply.status === 'full') state.notBeforeMs = nowMs + this.#settings.quietDigestMs;
    else if (reply.status === 'differs') this.#want(nowMs, from, state, reply.group, reply.cells);
    return true;
  }

  #mayBeDue(nowMs: number): boolean {
    if (this.#publisher.takeTouched() || this.#version !== this.#homes.version) return true;
    return this.#publisher.republishing || nowMs >= this.#nextDueMs;
  }

  #sendDue(nowMs: number): void {
    // What is on its way would look like a difference.
    if (this.#publisher.republishing) return;
    this.#version = this.#homes.version;
    this.#nextDueMs = NEVER;
    const { digestMs, quietDigestMs } = this.#settings;
    const due: PeerIndex[] = [];
    for (const [peer, state] of this.#states.entries()) {
      const stream = this.#publisher.streamTo(peer);
      if (state === undefined || stream === undefined) continue;
      if (state.wanted.size > 0) continue;
      const { equal } = state;
      const unchanged =
        stream.flushed &&
        equal?.sequence === stream.lastSent &&
        equal.table === this.#homes.version;
      const waitMs = unchanged ? quietDigestMs : digestMs;
      let dueMs = Math.max(state.notBeforeMs, state.lookedAtMs + waitMs);
      if (nowMs >= dueMs && due.length < DIGESTS_PER_PASS) {
        stream.flush(nowMs);
        if (stream.flushed) {
          state.lookedAtMs = nowMs;
          due.push(peer);
          dueMs = nowMs + digestMs;
        }
      }
      this.#nextDueMs = Math.min(this.#nextDueMs, dueMs);
    }
    this.#measure(due, (peer, digests) => this.#tell(nowMs, peer, digests));
  }

  #tell(nowMs: number, peer: PeerIndex, { counts, hashes }: Digests): void {
    const state = this.#states[peer]!;
    const stream = this.#publisher.streamTo(peer)!;
    const { version, hash } = this.#homes;
    const sequence = stream.lastSent;
    const summary = summaryOf(counts, hashes);
    const { equal } = state;
    const isKnown = equal?.sequence === sequence && equal.summary === summary;
    if (isKnown && nowMs < equal.atMs + this.#settings.quietDigestMs) {
      // Another table, but none of these tickets moved to or from this home.
      state.equal = { ...equal, table: version };
      return;
    }
    state.told = { atMs: nowMs, sequence, table: version, summary };
    const message = { stream: stream.id, sequence, table: hash, counts, hashes };
    const length = writeDigest(this.#body, message);
    this.#digests++;
    this.#out?.send(peer, CHANNEL_DIGEST, this.#body.subarray(0, length));
  }

  /** Digests for several homes in one pass over the table. */
  #measure(peers: readonly PeerIndex[], each: (peer: PeerIndex, digests: Digests) => void): void {
    if (peers.length === 0) return;
    const digests: (Digests | undefined)[] = [];
    for (const [i, peer] of peers.entries()) {
      const sum = this.#sums[i] ?? emptyDigests();
      this.#sums[i] = sum;
      sum.counts.fill(0);
      sum.hashes.fill(0);
      digests[peer] = sum;
    }
    const { rows, replicas, buckets } = this.#homes;
    const { counts, digests: hashes } = this.#store.own;
    const { bucketsPerGroup } = this.#cells;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const count = counts[bucket]!;
      if (count === 0) continue;
      const group = Math.floor(bucket / bucketsPerGroup);
      for (let i = bucket * replicas; i < (bucket + 1) * replicas; i++) {
        const sum = digests[rows[i]!];
        if (sum === undefined) continue;
        sum.counts[group]! += count;
        sum.hashes[group]! ^= hashes[bucket]!;
      }
    }
    for (const peer of peers) each(peer, digests[peer]!);
  }

  /** Compares the home's cells of a group with what it should have, and notes those that differ. */
  #want(nowMs: number, peer: PeerIndex, state: HomeState, group: number, theirs: Digests): void {
    const { bucketsPerGroup, bucketsPerCell, cellsPerGroup } = this.#cells;
    if (theirs.counts.length !== cellsPerGroup) return;
    const ours = emptyDigests(cellsPerGroup);
    const { counts, digests: hashes } = this.#store.own;
    for (let i = 0; i < bucketsPerGroup; i++) {
      const bucket = group * bucketsPerGroup + i;
      if (counts[bucket] === 0 || !this.#homes.isHome(peer, bucket)) continue;
      const cell = Math.floor(i / bucketsPerCell);
      ours.counts[cell]! += counts[bucket]!;
      ours.hashes[cell]! ^= hashes[bucket]!;
    }
    const flags = new Uint8Array(cellsPerGroup);
    let any = false;
    for (let cell = 0; cell < cellsPerGroup; cell++) {
      if (ours.counts[cell] === theirs.counts[cell] && ours.hashes[cell] === theirs.hashes[cell]) {
        continue;
      }
      flags[cell] = 1;
      any = true;
    }
    if (!any) return;
    state.wanted.set(group, flags);
    this.#repairs.add(peer);
    this.#repairAtMs = Math.min(this.#repairAtMs, nowMs);
  }

  #repair(nowMs: number): void {
    this.#repairAtMs = NEVER;
    for (const peer of this.#repairs) {
      const state = this.#states[peer]!;
      this.#publisher.streamTo(peer)!.flush(nowMs);
      for (const [group, flags] of state.wanted) {
        if (!this.#pace.open(nowMs)) {
          this.#repairAtMs = nowMs + 10;
          return;
        }
        if (!this.#repairGroup(nowMs, peer, group, flags)) {
          // Its queue is full; others may go on.
          this.#repairAtMs = Math.min(this.#repairAtMs, nowMs + REFUSED_WAIT_MS);
          break;
        }
        state.wanted.delete(group);
      }
      if (state.wanted.size > 0) continue;
      this.#repairs.delete(peer);
      state.notBeforeMs = nowMs + this.#settings.digestMs;
      this.#nextDueMs = Math.min(this.#nextDueMs, state.notBeforeMs);
    }
  }

  /** Sends each run of wanted cells; cells that were sent lose their flag. */
  #repairGroup(nowMs: number, peer: PeerIndex, group: number, flags: Uint8Array): boolean {
    const { bucketsPerGroup, bucketsPerCell } = this.#cells;
    let cell = 0;
    while (cell < flags.length) {
      if (flags[cell] === 0) {
        cell++;
        continue;
      }
      let end = cell;
      while (end < flags.length && flags[end] === 1) end++;
      const first = group * bucketsPerGroup + cell * bucketsPerCell;
      const last = group * bucketsPerGroup + end * bucketsPerCell;
      if (!this.#repairBuckets(nowMs, peer, first, last)) return false;
      flags.fill(0, cell, end);
      cell = end;
    }
    return true;
  }

  #repairBuckets(nowMs: number, peer: PeerIndex, first: number, end: number): boolean {
    const store = this.#store;
    let from = first;
    for (let bucket = first; bucket < end; bucket++) {
      if (store.own.counts[bucket] === 0 || !this.#homes.isHome(peer, bucket)) continue;
      if (!this.#fits(bucket)) {
        // Up to here complete, and this bucket in messages of its own if it is very full.
        if (bucket > from && !this.#emit(nowMs, peer, from, bucket - from, false)) return false;
        from = bucket;
      }
      for (
        let at = store.firstInChain(store.own, bucket);
        at !== NONE;
        at = store.nextInChain(at)
      ) {
        store.readKey(at, this.#key);
        const generation = store.generationOf(at);
        if (this.#part.add(false, bucket, this.#key, generation)) continue;
        if (!this.#emit(nowMs, peer, bucket, 1, true)) return false;
        this.#part.add(false, bucket, this.#key, generation);
        from = bucket + 1;
      }
      if (from === bucket + 1 && !this.#emit(nowMs, peer, bucket, 1, true)) return false;
    }
    return from >= end || this.#emit(nowMs, peer, from, end - from, false);
  }

  /** Whether the whole bucket fits into the part that was begun, at the size of IPv6 records. */
  #fits(bucket: number): boolean {
    const bytes = this.#store.own.counts[bucket]! * 42 + 16;
    return this.#part.bytes + bytes <= SNAPSHOT_BYTES - SNAPSHOT_HEAD_BYTES;
  }

  #emit(
    nowMs: number,
    peer: PeerIndex,
    firstBucket: number,
    buckets: number,
    partial: boolean,
  ): boolean {
    const { records } = this.#part;
    const stream = this.#publisher.streamTo(peer)!;
    const at = writeSnapshotHead(this.#snapshot, {
      stream: stream.id,
      sequence: stream.lastSent,
      table: this.#homes.hash,
      generation: this.#publisher.newestGeneration,
      firstBucket,
      buckets,
      partial,
    });
    const length = this.#part.finish(this.#snapshot, at);
    const sent =
      this.#out?.stream(peer, CHANNEL_SNAPSHOT, this.#snapshot.subarray(0, length)) ?? false;
    if (!sent) return false;
    this.#pace.spend(nowMs, length);
    this.#snapshots++;
    this.#snapshotBytes += length;
    this.#repaired += records;
    return true;
  }
}

function summaryOf(counts: Uint32Array, hashes: Int32Array): number {
  let sum = 0;
  for (let group = 0; group < counts.length; group++) {
    sum = mix32(sum ^ counts[group]!);
    sum = mix32(sum ^ hashes[group]!);
  }
  return sum;
}
