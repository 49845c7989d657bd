/** Sends whole buckets again to homes whose digests differ, paced over all homes. */
import {
  type Digests,
  emptyDigests,
  SNAPSHOT_HEAD_BYTES,
  writeSnapshotHead,
} from '../../proto/ticket-digest.ts';
import { KEY_WORDS } from '../../proto/ticket-key.ts';
import { PartWriter } from '../../proto/ticket-part.ts';
import type { Outbox, PeerIndex } from '../core.ts';
import type { Homes } from '../homes.ts';
import { Pace } from '../pace.ts';
import { NONE } from '../ticket-columns.ts';
import type { TicketStore } from '../ticket-store.ts';
import { type Cells, cellsOf } from './cells.ts';
import { CHANNEL_SNAPSHOT } from './channels.ts';
import type { Publisher } from './publisher.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A message of the bulk stream. Bigger ones would hold up other users of the stream. */
const SNAPSHOT_BYTES = 32_768;
/** Tickets packed before the pace is asked again: about 2 ms. */
const RUN_TICKETS = 1_500;
const PACE_WAIT_MS = 5;
const REFUSED_WAIT_MS = 100;

/** `paced`: no more for now. `refused`: this home's stream is full. */
type Progress = 'done' | 'paced' | 'refused';

export class Repairer {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #publisher: Publisher;
  readonly #cells: Cells;
  readonly #pace: Pace;
  readonly #finished: (nowMs: number, peer: PeerIndex) => void;
  /** Cells to send again: by home and group a flag per cell. */
  readonly #wanted = new Map<PeerIndex, Map<number, Uint8Array>>();
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly #snapshot = new Uint8Array(SNAPSHOT_BYTES);
  readonly #part = new PartWriter(SNAPSHOT_BYTES - SNAPSHOT_HEAD_BYTES);
  #out: Outbox | undefined;
  #dueMs = NEVER;
  #snapshots = 0;
  #snapshotBytes = 0;
  #repaired = 0;

  /** @param finished Told when everything that a home wanted was sent. */
  constructor(
    store: TicketStore,
    homes: Homes,
    publisher: Publisher,
    bytesPerSecond: number,
    finished: (nowMs: number, peer: PeerIndex) => void,
  ) {
    this.#store = store;
    this.#homes = homes;
    this.#publisher = publisher;
    this.#cells = cellsOf(homes.buckets);
    this.#pace = new Pace(bytesPerSecond, SNAPSHOT_BYTES);
    this.#finished = finished;
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

  isPending(peer: PeerIndex): boolean {
    return this.#wanted.has(peer);
  }

  forget(peer: PeerIndex): void {
    this.#wanted.delete(peer);
  }

  /** Compares the home's cells of a group with what it should have, and notes those that differ. */
  want(nowMs: number, peer: PeerIndex, group: number, theirs: Digests): void {
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
    const wanted = this.#wanted.get(peer) ?? new Map<number, Uint8Array>();
    wanted.set(group, flags);
    this.#wanted.set(peer, wanted);
    this.#dueMs = Math.min(this.#dueMs, nowMs);
  }

  nextWakeupMs(): number {
    return this.#dueMs;
  }

  service(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = NEVER;
    for (const [peer, wanted] of this.#wanted) {
      this.#publisher.streamTo(peer)?.flush(nowMs);
      const progress = this.#repairHome(nowMs, peer, wanted);
      if (progress === 'paced') {
        this.#dueMs = nowMs + PACE_WAIT_MS;
        return;
      }
      if (progress === 'refused') {
        // Others may go on.
        this.#dueMs = Math.min(this.#dueMs, nowMs + REFUSED_WAIT_MS);
        continue;
      }
      this.#wanted.delete(peer);
      this.#finished(nowMs, peer);
    }
  }

  #repairHome(nowMs: number, peer: PeerIndex, wanted: Map<number, Uint8Array>): Progress {
    for (const [group, flags] of wanted) {
      for (let cell = flags.indexOf(1); cell >= 0; cell = flags.indexOf(1)) {
        if (!this.#pace.open(nowMs)) return 'paced';
        if (!this.#repairRun(nowMs, peer, group, flags, cell)) return 'refused';
      }
      wanted.delete(group);
    }
    return 'done';
  }

  /** Sends some neighbouring cells, which then lose their flags. @returns false when refused. */
  #repairRun(
    nowMs: number,
    peer: PeerIndex,
    group: number,
    flags: Uint8Array,
    cell: number,
  ): boolean {
    const { bucketsPerGroup, bucketsPerCell } = this.#cells;
    const { counts } = this.#store.own;
    const first = group * bucketsPerGroup + cell * bucketsPerCell;
    let bucket = first;
    let end = cell;
    for (let tickets = 0; flags[end] === 1 && tickets < RUN_TICKETS; end++) {
      for (const last = bucket + bucketsPerCell; bucket < last; bucket++) {
        tickets += counts[bucket]!;
      }
    }
    if (!this.#repairBuckets(nowMs, peer, first, bucket)) return false;
    flags.fill(0, cell, end);
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
