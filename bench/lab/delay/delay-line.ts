/** One direction of a long cable: frames come out as they went in, later, and some not at all. */

/** Numbers from 0 (inclusive) to 1, the same for the same seed (mulberry32). */
export function seededChance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How long a cable is, and how bad. */
export interface Length {
  readonly delayMs: number;
  /** 0 to 100. */
  readonly lossPercent: number;
}

export interface DelayLineOptions extends Length {
  /** Frames under way; more are dropped, as by a router whose queue is full. */
  readonly framesMax: number;
  readonly chance: () => number;
}

export type FrameFate = 'under way' | 'lost' | 'full';

export class DelayLine {
  readonly #options: DelayLineOptions;
  /** A queue with a moving head: shifting an array of thousands for each frame is slow. */
  #frames: { readonly dueMs: number; readonly frame: Buffer }[] = [];
  #head = 0;
  #length: Length;

  constructor(options: DelayLineOptions) {
    this.#options = options;
    this.#length = options;
  }

  /** From now on: frames under way arrive when they were due, and none overtakes another. */
  change(length: Length): void {
    this.#length = length;
  }

  get underWay(): number {
    return this.#frames.length - this.#head;
  }

  push(frame: Buffer, nowMs: number): FrameFate {
    const { framesMax, chance } = this.#options;
    const { delayMs, lossPercent } = this.#length;
    if (lossPercent > 0 && chance() * 100 < lossPercent) return 'lost';
    if (this.underWay >= framesMax) return 'full';
    // A queue: what is due earlier because the cable became shorter waits for those before it.
    this.#frames.push({ dueMs: nowMs + delayMs, frame });
    return 'under way';
  }

  /** The next frame that has arrived by now. */
  take(nowMs: number): Buffer | undefined {
    const next = this.#frames[this.#head];
    if (next === undefined || next.dueMs > nowMs) return undefined;
    this.#head += 1;
    if (this.#head === this.#frames.length) {
      this.#frames = [];
      this.#head = 0;
    } else if (this.#head > 4_096) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    return next.frame;
  }

  /** When the next frame arrives; `undefined` when none is under way. */
  get nextDueMs(): number | undefined {
    return this.#frames[this.#head]?.dueMs;
  }
}
