/**
 * The home's end of a flow-ticket stream from one owner: which frames came, which are missing, and
 * the few ends that must be remembered while older frames are still missing.
 */
import { ACK_RANGES_MAX, type Ack, type Frame } from '../../proto/ticket-frame.ts';
import { type FlowKey, isNewer, keyHash } from '../../proto/ticket-key.ts';

/** Frames beyond a gap that are remembered; an owner's window is at most half of it. */
const AHEAD = 4_096;
/** Ends remembered while a gap is open. More are forgotten, and anti-entropy mends the rest. */
const ENDS_MAX = 4_096;
/** Frames after which an acknowledgement does not wait any longer. */
const ACK_EVERY = 32;
/** A request for missing frames that is not answered is repeated ever more slowly. */
const REQUEST_BACKOFF_MAX = 32;

/** Most streams never see a gap, and need no flags. */
const NO_FLAGS = new Uint8Array(0);

export interface InStreamTimes {
  /** Longest wait before a received frame is acknowledged. Default 20. */
  readonly ackMs: number;
  /** A gap may be mere reordering for this long. Default 2. */
  readonly gapMs: number;
}

export const IN_STREAM_TIMES: InStreamTimes = { ackMs: 20, gapMs: 2 };

/** What a frame brings: nothing, its own part, the repeated part of the frame before, or both. */
export interface Accepted {
  readonly own: boolean;
  readonly repeated: boolean;
}

const NOTHING: Accepted = { own: false, repeated: false };

export class InStream {
  readonly #times: InStreamTimes;
  #id = 0;
  #complete = 0;
  #highest = 0;
  /** One flag per sequence modulo {@link AHEAD}, for those above `#complete`. */
  #received = NO_FLAGS;
  /** Newest generation that ended, by a hash of its key. */
  readonly #ends = new Map<number, number>();
  #ackAtMs = Number.POSITIVE_INFINITY;
  #unacked = 0;
  #requests = 0;
  #announced = 0;
  #gapSinceMs = Number.POSITIVE_INFINITY;

  constructor(times: InStreamTimes) {
    this.#times = times;
  }

  get id(): number {
    return this.#id;
  }

  /** Everything up to here was applied. */
  get complete(): number {
    return this.#complete;
  }

  /** Last frame applied. */
  get highest(): number {
    return this.#highest;
  }

  /** Since when something is missing; infinity while nothing is. */
  get gapSinceMs(): number {
    return this.#gapSinceMs;
  }

  get ackAtMs(): number {
    return this.#ackAtMs;
  }

  /** Follows the owner to a newer stream. @returns false for a stream that was replaced. */
  adopt(id: number): boolean {
    if (id === this.#id) return true;
    if (id < this.#id) return false;
    this.#id = id;
    this.#complete = 0;
    this.#highest = 0;
    this.#announced = 0;
    this.#received = NO_FLAGS;
    this.#ends.clear();
    this.#unacked = 0;
    this.#ackAtMs = Number.POSITIVE_INFINITY;
    this.#gapSinceMs = Number.POSITIVE_INFINITY;
    return true;
  }

  /** Takes note of a frame of the present stream and says which of its parts are new. */
  accept(nowMs: number, frame: Frame): Accepted {
    const { sequence } = frame;
    if (sequence > this.#complete + AHEAD - 1) return NOTHING;
    // Taken first: it is the older one, and what it brings closes a gap.
    const repeated = frame.repeatedAt >= 0 && sequence > 1 && this.#mark(sequence - 1);
    const own = this.#mark(sequence);
    this.#unacked++;
    this.#requests = 0;
    const gap = this.#noteGap(nowMs);
    const waitMs = gap ? this.#times.gapMs : this.#unacked >= ACK_EVERY ? 0 : this.#times.ackMs;
    this.#ackAtMs = Math.min(this.#ackAtMs, nowMs + waitMs);
    return { own, repeated };
  }

  /**
   * The owner says how far it has sent: the last frames may be missing without a later one to show it.
   * @returns true when something is missing.
   */
  announce(nowMs: number, sequence: number): boolean {
    if (sequence > this.#announced) this.#announced = sequence;
    if (!this.#noteGap(nowMs)) return false;
    this.#ackAtMs = Math.min(this.#ackAtMs, nowMs + this.#times.gapMs);
    return true;
  }

  /**
   * Remembers that a flow ended while older frames are missing: a birth that comes late must not
   * bring the ticket back.
   */
  ended(key: FlowKey, generation: number): void {
    if (this.#highest <= this.#complete || this.#ends.size >= ENDS_MAX) return;
    const hash = keyHash(key, 0);
    const known = this.#ends.get(hash);
    if (known === undefined || isNewer(generation, known)) this.#ends.set(hash, generation);
  }

  /** This ticket, or a newer one that took its place, ended before its birth was heard of. */
  endedBefore(key: FlowKey, generation: number): boolean {
    if (this.#ends.size === 0) return false;
    const ended = this.#ends.get(keyHash(key, 0));
    return ended !== undefined && !isNewer(generation, ended);
  }

  /** Call after the parts of a frame were applied. */
  settle(): void {
    if (this.#highest === this.#complete) this.#ends.clear();
  }

  /** The acknowledgement that is due, and no other until the next frame or gap. */
  takeAck(nowMs: number): Ack {
    const ranges: [number, number][] = [];
    for (let s = this.#complete + 1; s <= this.#highest && ranges.length < ACK_RANGES_MAX; s++) {
      if (this.#received[s % AHEAD] === 0) continue;
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === s - 1) last[1] = s;
      else ranges.push([s, s]);
    }
    this.#unacked = 0;
    const gap = this.#noteGap(nowMs);
    // While something is missing the request is repeated: it may be lost as well.
    const waitMs = this.#times.ackMs * Math.min(REQUEST_BACKOFF_MAX, 2 ** this.#requests++);
    this.#ackAtMs = gap ? nowMs + waitMs : Number.POSITIVE_INFINITY;
    const last = ranges.at(-1)?.[1] ?? this.#complete;
    // With all ranges told, everything else that was sent is missing.
    const missingTo = ranges.length < ACK_RANGES_MAX ? Math.max(last, this.#announced) : last;
    return { stream: this.#id, complete: this.#complete, missingTo, ranges };
  }

  /** Whether frames are missing, and since when. */
  #noteGap(nowMs: number): boolean {
    const gap = Math.max(this.#highest, this.#announced) > this.#complete;
    if (!gap) this.#gapSinceMs = Number.POSITIVE_INFINITY;
    else if (this.#gapSinceMs > nowMs) this.#gapSinceMs = nowMs;
    return gap;
  }

  #mark(sequence: number): boolean {
    if (sequence <= this.#complete) return false;
    const highest = Math.max(sequence, this.#highest);
    if (this.#received === NO_FLAGS) {
      if (sequence === this.#complete + 1) {
        this.#complete = sequence;
        this.#highest = highest;
        return true;
      }
      this.#received = new Uint8Array(AHEAD);
    }
    if (this.#received[sequence % AHEAD] === 1) return false;
    this.#received[sequence % AHEAD] = 1;
    this.#highest = highest;
    while (this.#received[(this.#complete + 1) % AHEAD] === 1) {
      this.#complete++;
      this.#received[this.#complete % AHEAD] = 0;
    }
    return true;
  }
}
