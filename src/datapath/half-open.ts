/**
 * Tickets born with a SYN-ACK whose handshake was never completed: nobody tells of their end, so
 * they are given up after a while. A core: the time is handed in.
 */
import type { FlowKey } from '../proto/ticket-key.ts';

interface Waiting {
  readonly key: FlowKey;
  readonly bucket: number;
  readonly dueMs: number;
}

export interface HalfOpenOptions {
  /** The kernel repeats a SYN-ACK for about 63 s by default. Default 75,000. */
  readonly waitMs?: number;
  /** Most that wait; beyond it the oldest is given up early. Default 65,536. */
  readonly most?: number;
}

export class HalfOpenTickets {
  readonly #waitMs: number;
  readonly #most: number;
  /** By generation, which is unique within a boot; in the order of their births. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #giveUp: (key: FlowKey, bucket: number, generation: number) => void;

  /** @param giveUp Told of each ticket that has to end. */
  constructor(
    giveUp: (key: FlowKey, bucket: number, generation: number) => void,
    options: HalfOpenOptions = {},
  ) {
    this.#giveUp = giveUp;
    this.#waitMs = options.waitMs ?? 75_000;
    this.#most = options.most ?? 65_536;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** A ticket of a handshake under way. Copies `key`. */
  born(nowMs: number, key: FlowKey, bucket: number, generation: number): void {
    if (this.#waiting.size >= this.#most) this.#endOldest();
    const waiting = { key: key.slice(), bucket, dueMs: nowMs + this.#waitMs };
    this.#waiting.set(generation, waiting);
  }

  /** The handshake was completed, or the ticket has ended. */
  settled(generation: number): void {
    this.#waiting.delete(generation);
  }

  /** Gives up what is due. */
  expire(nowMs: number): void {
    for (const { dueMs } of this.#waiting.values()) {
      if (dueMs > nowMs) return;
      this.#endOldest();
    }
  }

  #endOldest(): void {
    for (const [generation, { key, bucket }] of this.#waiting) {
      this.#waiting.delete(generation);
      this.#giveUp(key, bucket, generation);
      return;
    }
  }
}
