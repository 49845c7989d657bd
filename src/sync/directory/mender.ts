/**
 * The owner's side of anti-entropy: tells each home in digests what it should have, and has sent
 * again what differs.
 */
import {
  type Digests,
  digestEcho,
  emptyDigests,
  readReply,
  writeDigest,
} from '../../proto/ticket-digest.ts';
import {
  FRAME_BYTES_MAX,
  type Outbox,
  PEERS_MAX,
  type PeerIndex,
  type PeerTable,
} from '../core.ts';
import type { Homes } from '../homes.ts';
import { NO_HOME } from '../homes-build.ts';
import { mix32 } from '../homes-score.ts';
import type { Random } from '../random.ts';
import type { TicketStore } from '../ticket-store.ts';
import { type Cells, cellsOf } from './cells.ts';
import { CHANNEL_DIGEST } from './channels.ts';
import { mayAsk } from './checks.ts';
import type { Publisher } from './publisher.ts';
import { Repairer } from './repairer.ts';
import type { DirectorySettings } from './settings.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** Homes are measured in one pass over the table; this many passes per `digestMs`. */
const PASSES = 8;
/**
 * Between digests to a home of protocol 1 that said "equal", in `digestMs`: it cannot ask for one when
 * it is not sure any more, so it is asked all the time, but less often than one that differs.
 */
const UNSURE_GAPS = 3;
/** Digests of one pass: 500 at once would be a burst of a quarter megabyte. */
const DIGESTS_PER_PASS = 64;

/** What a digest covered. */
interface Covered {
  readonly atMs: number;
  /** Last frame sent before it, version of the table, and a hash of all its groups. */
  readonly sequence: number;
  readonly table: number;
  readonly summary: number;
}

/** One digest as it was sent. */
interface Told extends Covered {
  /** {@link digestEcho} of it. */
  readonly echo: number;
}

interface HomeState {
  /** When it was last looked at whether a digest is needed. */
  lookedAtMs: number;
  /** No digest before this. */
  notBeforeMs: number;
  told: Told | undefined;
  /** The last that the home called equal. `table` moves on when a new table changes nothing. */
  equal: Covered | undefined;
}

export class Mender {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #peers: PeerTable;
  readonly #publisher: Publisher;
  readonly #settings: DirectorySettings;
  readonly #cells: Cells;
  readonly #repairer: Repairer;
  readonly #phaseMs: number;
  readonly #states: (HomeState | undefined)[] = [];
  /** One per digest of a pass, used again in the next. */
  readonly #sums: Digests[] = [];
  /** Which of them is a peer's, while they are made; -1 for none. */
  readonly #place = new Int16Array(PEERS_MAX).fill(-1);
  readonly #body = new Uint8Array(FRAME_BYTES_MAX);
  #out: Outbox | undefined;
  #ready: boolean;
  #passAtMs: number;
  #nextDueMs = Number.NEGATIVE_INFINITY;
  #version = 0;
  #digests = 0;

  constructor(
    store: TicketStore,
    homes: Homes,
    peers: PeerTable,
    publisher: Publisher,
    settings: DirectorySettings,
    random: Random,
  ) {
    this.#store = store;
    this.#homes = homes;
    this.#peers = peers;
    this.#publisher = publisher;
    this.#settings = settings;
    this.#cells = cellsOf(homes.buckets);
    this.#repairer = new Repairer(
      store,
      homes,
      publisher,
      settings.repairBytesPerSecond,
      (nowMs, peer) => this.#repaired(nowMs, peer),
    );
    this.#phaseMs = settings.digestMs / PASSES;
    this.#ready = settings.antiEntropy && !settings.restoring;
    // Nodes that start together shall not send their digests together.
    this.#passAtMs = random.between(0, this.#phaseMs);
  }

  get digestsSent(): number {
    return this.#digests;
  }

  /** Sends again what differs. */
  get repairer(): Repairer {
    return this.#repairer;
  }

  bind(out: Outbox): void {
    this.#out = out;
    this.#repairer.bind(out);
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
    };
    this.#nextDueMs = Math.min(this.#nextDueMs, nowMs);
    this.#repairer.forget(peer);
  }

  close(peer: PeerIndex): void {
    this.#states[peer] = undefined;
    this.#repairer.forget(peer);
  }

  /** The home is not sure any more: a digest within `digestMs`, whatever it said before. */
  check(nowMs: number, peer: PeerIndex): void {
    const state = this.#states[peer];
    if (state === undefined) return;
    state.equal = undefined;
    this.#publisher.setBlank(peer, false);
    this.#nextDueMs = Math.min(this.#nextDueMs, Math.max(nowMs, state.notBeforeMs));
  }

  nextWakeupMs(): number {
    if (!this.#ready) return NEVER;
    // Nothing is due before `#nextDueMs` unless something is sent meanwhile.
    const { touched, republishing } = this.#publisher;
    const moved = touched || republishing || this.#version !== this.#homes.version;
    const passAtMs = moved ? this.#passAtMs : Math.max(this.#passAtMs, this.#nextDueMs);
    return Math.min(passAtMs, this.#repairer.nextWakeupMs());
  }

  service(nowMs: number): void {
    if (!this.#ready) return;
    if (nowMs >= this.#passAtMs && this.#mayBeDue(nowMs)) {
      this.#passAtMs = nowMs + this.#phaseMs;
      this.#sendDue(nowMs);
    }
    this.#repairer.service(nowMs);
  }

  /** @returns false for bytes that are no reply. */
  replied(nowMs: number, from: PeerIndex, body: Uint8Array): boolean {
    const reply = readReply(body);
    if (reply === undefined) return false;
    const state = this.#states[from];
    const stream = this.#publisher.streamTo(from);
    if (state === undefined || stream?.id !== reply.stream || !this.#ready) return true;
    if (reply.status === 'equal') {
      const { told } = state;
      if (told?.sequence !== reply.sequence) return true;
      // An answer to a digest before that one, made after the same frame.
      if (reply.echo !== undefined && reply.echo !== told.echo) return true;
      state.equal = told;
      const isBlank = told.summary === EMPTY_SUMMARY && stream.lastSent === told.sequence;
      if (isBlank && stream.flushed && mayAsk(this.#peers, from)) {
        this.#publisher.setBlank(from, true);
      }
    } else if (reply.status === 'full') state.notBeforeMs = nowMs + this.#settings.quietDigestMs;
    else if (reply.status === 'differs') this.#repairer.want(nowMs, from, reply.group, reply.cells);
    return true;
  }

  #repaired(nowMs: number, peer: PeerIndex): void {
    const state = this.#states[peer];
    if (state === undefined) return;
    state.notBeforeMs = nowMs + this.#settings.digestMs;
    this.#nextDueMs = Math.min(this.#nextDueMs, state.notBeforeMs);
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
    for (let peer = 0; peer < this.#states.length; peer++) {
      const state = this.#states[peer];
      if (state === undefined) continue;
      const stream = this.#publisher.streamTo(peer);
      if (stream === undefined) continue;
      if (this.#repairer.isPending(peer)) continue;
      const { equal } = state;
      const unchanged =
        stream.flushed &&
        equal?.sequence === stream.lastSent &&
        equal.table === this.#homes.version;
      const idleMs = mayAsk(this.#peers, peer) ? quietDigestMs : UNSURE_GAPS * digestMs;
      const waitMs = unchanged ? idleMs : digestMs;
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
    if (due.length === 0) return;
    this.#measure(due);
    for (let i = 0; i < due.length; i++) this.#tell(nowMs, due[i]!, this.#sums[i]!);
  }

  #tell(nowMs: number, peer: PeerIndex, digests: Digests): void {
    const { counts, hashes } = digests;
    const state = this.#states[peer]!;
    const stream = this.#publisher.streamTo(peer)!;
    const { version, hash } = this.#homes;
    const sequence = stream.lastSent;
    const summary = summaryOf(counts, hashes);
    const covered = { atMs: nowMs, sequence, table: version, summary };
    if (summary === EMPTY_SUMMARY && this.#publisher.isBlank(peer)) {
      state.equal = covered;
      return;
    }
    const { equal } = state;
    const isKnown =
      mayAsk(this.#peers, peer) && equal?.sequence === sequence && equal.summary === summary;
    if (isKnown && equal !== undefined && nowMs < equal.atMs + this.#settings.quietDigestMs) {
      // Another table, but none of these tickets moved to or from this home.
      state.equal = { ...equal, table: version };
      return;
    }
    state.told = { ...covered, echo: digestEcho(hash, digests) };
    const message = { stream: stream.id, sequence, table: hash, counts, hashes };
    const length = writeDigest(this.#body, message);
    this.#digests++;
    this.#out?.send(peer, CHANNEL_DIGEST, this.#body.subarray(0, length));
  }

  /** Digests for several homes in one pass over the table; they are in `#sums`, in that order. */
  #measure(peers: readonly PeerIndex[]): void {
    for (let i = 0; i < peers.length; i++) {
      const sum = this.#sums[i] ?? emptyDigests();
      this.#sums[i] = sum;
      sum.counts.fill(0);
      sum.hashes.fill(0);
      this.#place[peers[i]!] = i;
    }
    const { rows, replicas, buckets } = this.#homes;
    const { counts, digests: hashes } = this.#store.own;
    const { bucketsPerGroup } = this.#cells;
    const end = this.#store.own.count === 0 ? 0 : buckets;
    for (let bucket = 0; bucket < end; bucket++) {
      const count = counts[bucket]!;
      if (count === 0) continue;
      const group = Math.floor(bucket / bucketsPerGroup);
      for (let i = bucket * replicas; i < (bucket + 1) * replicas; i++) {
        const peer = rows[i]!;
        const place = peer === NO_HOME ? -1 : this.#place[peer]!;
        if (place < 0) continue;
        const sum = this.#sums[place]!;
        sum.counts[group]! += count;
        sum.hashes[group]! ^= hashes[bucket]!;
      }
    }
    for (const peer of peers) this.#place[peer] = -1;
  }
}

function summaryOf(counts: Uint32Array, hashes: Int32Array): number {
  let sum = 0;
  for (let group = 0; group < counts.length; group++) {
    if (counts[group] === 0) continue;
    sum = mix32(sum ^ ((counts[group]! << 6) + group));
    sum = mix32(sum ^ hashes[group]!);
  }
  return sum;
}

const NOTHING = emptyDigests();
const EMPTY_SUMMARY = summaryOf(NOTHING.counts, NOTHING.hashes);
