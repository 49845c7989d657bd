/**
 * The owner's end of a flow-ticket stream to one home. Every record travels at least twice within
 * `flushMs`: in its own frame and repeated in the next (or, when no next one follows, once more).
 * What the home still misses it asks for. See docs/design/directory.md.
 */
import { type Ack, FRAME_HEAD_BYTES, writeFrameHead } from '../../proto/ticket-frame.ts';
import type { FlowKey } from '../../proto/ticket-key.ts';
import { EMPTY_PART_BYTES, PartWriter } from '../../proto/ticket-part.ts';
import { FRAME_BYTES_MAX } from '../core.ts';

/** Two parts fit one frame. */
const PART_BYTES_MAX = Math.floor((FRAME_BYTES_MAX - FRAME_HEAD_BYTES) / 2);
/** A stream is replaced by another long before its sequence wraps. */
export const SEQUENCE_MAX = 0xf000_0000;
const RETRANSMIT_MAX_MS = 2_000;
/** Round trip that is assumed before one was measured. */
const RTT_UNKNOWN_MS = 100;
const RESENDS_PER_CALL = 32;

export interface OutStreamLimits {
  /** A record waits at most this long for others to share its frame. Default 5. */
  readonly flushMs: number;
  /** Bytes sent and not yet confirmed, or waiting, per home. Default 512 KiB. */
  readonly windowBytes: number;
  /** The same in frames; below half of what a home remembers. Default 2,048. */
  readonly windowFrames: number;
  /** New frames per `flushMs` and home. Default 32. */
  readonly burstFrames: number;
  /** False switches retransmission off: a negative control for tests. Default true. */
  readonly retransmit: boolean;
}

export const OUT_STREAM_LIMITS: OutStreamLimits = {
  flushMs: 5,
  windowBytes: 524_288,
  windowFrames: 2_048,
  burstFrames: 32,
  retransmit: true,
};

/** Streams build their frames one after the other, and whoever sends one copies it. */
const frame = new Uint8Array(FRAME_BYTES_MAX);

interface Sealed {
  readonly part: Uint8Array;
  sentAtMs: number;
  sends: number;
}

export class OutStream {
  readonly id: number;
  readonly #limits: OutStreamLimits;
  readonly #send: (frame: Uint8Array) => void;
  readonly #part = new PartWriter(PART_BYTES_MAX);
  /** Frames that the home has not confirmed, oldest first. */
  readonly #window = new Map<number, Sealed>();
  #windowBytes = 0;
  #next = 1;
  /** First frame that was never sent. */
  #unsent = 1;
  #flushAtMs = Number.POSITIVE_INFINITY;
  #burstUntilMs = Number.NEGATIVE_INFINITY;
  #burstLeft = 0;
  /** When the last frame is sent once more if none follows. */
  #repeatAtMs = Number.POSITIVE_INFINITY;
  #overflowed = 0;
  #resent = 0;

  /** @param id Larger for each new stream of this node's process. */
  constructor(id: number, limits: OutStreamLimits, send: (frame: Uint8Array) => void) {
    this.id = id;
    this.#limits = limits;
    this.#send = send;
  }

  /** The last frame sent; 0 before the first. */
  get lastSent(): number {
    return this.#unsent - 1;
  }

  /** Every record given so far is in a frame that was sent. */
  get flushed(): boolean {
    return this.#part.records === 0 && this.#unsent === this.#next;
  }

  /** More than half of the window is in use: bulk should wait. */
  get congested(): boolean {
    return (
      this.#windowBytes * 2 > this.#limits.windowBytes ||
      this.#window.size * 2 > this.#limits.windowFrames
    );
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  /** Records that found the window full; anti-entropy mends them. */
  get overflowed(): number {
    return this.#overflowed;
  }

  /** Frames sent again because the home missed them or was silent. */
  get resent(): number {
    return this.#resent;
  }

  add(nowMs: number, ended: boolean, bucket: number, key: FlowKey, generation: number): void {
    if (!this.#part.add(ended, bucket, key, generation)) {
      this.#seal();
      this.#sendNew(nowMs);
      this.#part.add(ended, bucket, key, generation);
    }
    if (this.#flushAtMs === Number.POSITIVE_INFINITY) {
      this.#flushAtMs = nowMs + this.#limits.flushMs;
    }
  }

  /** Sends what is due. */
  service(nowMs: number, rttMs: number | undefined): void {
    if (nowMs >= this.#flushAtMs) this.#seal();
    this.#sendNew(nowMs);
    // With records waiting the next frame is near, and it repeats this one.
    if (nowMs >= this.#repeatAtMs && this.#part.records > 0) {
      this.#repeatAtMs = this.#flushAtMs;
    } else if (nowMs >= this.#repeatAtMs) {
      this.#repeatAtMs = Number.POSITIVE_INFINITY;
      const last = this.#window.get(this.#next - 1);
      if (last !== undefined && last.sends === 1) this.#transmit(nowMs, this.#next - 1, last);
    }
    if (!this.#limits.retransmit) return;
    let budget = RESENDS_PER_CALL;
    for (const [sequence, sealed] of this.#window) {
      if (sealed.sends === 0 || budget-- <= 0) break;
      if (nowMs < sealed.sentAtMs + this.#silenceMs(sealed, rttMs)) break;
      this.#resent++;
      this.#transmit(nowMs, sequence, sealed);
    }
  }

  /** Seals and sends at once, as far as the burst allows. */
  flush(nowMs: number): void {
    this.#seal();
    this.#sendNew(nowMs);
  }

  acknowledge(nowMs: number, ack: Ack, rttMs: number | undefined): void {
    if (ack.complete >= this.#next) return;
    for (const [sequence, sealed] of this.#window) {
      if (sequence > ack.complete || sealed.sends === 0) break;
      this.#confirm(sequence, sealed);
    }
    for (const [first, last] of ack.ranges) {
      if (last >= this.#next) return;
      for (let sequence = first; sequence <= last; sequence++) {
        const sealed = this.#window.get(sequence);
        if (sealed !== undefined && sealed.sends > 0) this.#confirm(sequence, sealed);
      }
    }
    if (!this.#limits.retransmit) return;
    // A frame sent less than a round trip ago may be on its way: the home could not know yet.
    const youngest = nowMs - (rttMs ?? RTT_UNKNOWN_MS) * 0.9;
    let budget = RESENDS_PER_CALL;
    for (const [sequence, sealed] of this.#window) {
      if (sequence > ack.missingTo || sealed.sends === 0 || budget <= 0) break;
      if (sealed.sentAtMs > youngest) continue;
      budget--;
      this.#resent++;
      this.#transmit(nowMs, sequence, sealed);
    }
  }

  /** After a stall of this process: answers wait in the socket, so nobody was silent. */
  postpone(lateMs: number): void {
    for (const sealed of this.#window.values()) sealed.sentAtMs += lateMs;
  }

  nextWakeupMs(rttMs: number | undefined): number {
    let next = Math.min(this.#flushAtMs, this.#repeatAtMs);
    if (this.#unsent < this.#next) next = Math.min(next, this.#burstUntilMs);
    if (!this.#limits.retransmit) return next;
    for (const sealed of this.#window.values()) {
      if (sealed.sends > 0) {
        next = Math.min(next, sealed.sentAtMs + this.#silenceMs(sealed, rttMs));
      }
      break;
    }
    return next;
  }

  #silenceMs(sealed: Sealed, rttMs: number | undefined): number {
    const base = Math.max(60, 2 * (rttMs ?? RTT_UNKNOWN_MS) + 40);
    return Math.min(RETRANSMIT_MAX_MS, base * 2 ** Math.min(6, Math.max(0, sealed.sends - 2)));
  }

  #confirm(sequence: number, sealed: Sealed): void {
    this.#window.delete(sequence);
    this.#windowBytes -= sealed.part.length;
  }

  #seal(): void {
    this.#flushAtMs = Number.POSITIVE_INFINITY;
    const { records, bytes } = this.#part;
    if (records === 0) return;
    const part = new Uint8Array(bytes);
    this.#part.finish(part, 0);
    const { windowBytes, windowFrames } = this.#limits;
    if (this.#windowBytes + bytes > windowBytes || this.#window.size >= windowFrames) {
      this.#overflowed += records;
      return;
    }
    this.#window.set(this.#next++, { part, sentAtMs: 0, sends: 0 });
    this.#windowBytes += bytes;
  }

  #sendNew(nowMs: number): void {
    if (nowMs >= this.#burstUntilMs) {
      this.#burstUntilMs = nowMs + this.#limits.flushMs;
      this.#burstLeft = this.#limits.burstFrames;
    }
    while (this.#unsent < this.#next && this.#burstLeft > 0) {
      this.#burstLeft--;
      const sequence = this.#unsent++;
      this.#transmit(nowMs, sequence, this.#window.get(sequence)!);
      this.#repeatAtMs = nowMs + this.#limits.flushMs;
    }
  }

  #transmit(nowMs: number, sequence: number, sealed: Sealed): void {
    const before = sealed.sends === 0 ? this.#window.get(sequence - 1) : undefined;
    let length = writeFrameHead(frame, this.id, sequence, before !== undefined);
    frame.set(sealed.part, length);
    length += sealed.part.length;
    if (before !== undefined) {
      frame.set(before.part, length);
      length += before.part.length;
      before.sends++;
    }
    sealed.sends++;
    sealed.sentAtMs = nowMs;
    this.#send(frame.subarray(0, length));
  }
}

/** Smallest frame on the wire, for sizing. */
export const FRAME_BYTES_MIN = FRAME_HEAD_BYTES + EMPTY_PART_BYTES;
