/** Counters behind the newest that may still arrive. */
const WINDOW_COUNTERS = 1_024;
const WORD_BITS = 32;

/** Which counters were seen: each is accepted once, too old ones never (as RFC 6479). */
export class ReplayWindow {
  readonly #bits = new Uint32Array(WINDOW_COUNTERS / WORD_BITS);
  #newest = -1;

  /** False when that counter was seen or is too old. Changes nothing. */
  isNew(counter: number): boolean {
    if (counter > this.#newest) return true;
    if (this.#newest - counter >= WINDOW_COUNTERS) return false;
    const slot = counter % WINDOW_COUNTERS;
    return (this.#bits[slot >>> 5]! & (1 << (slot & 31))) === 0;
  }

  /** Marks a counter as seen. Call only when its datagram proved genuine. */
  mark(counter: number): void {
    if (counter > this.#newest) {
      const steps = counter - this.#newest;
      if (steps >= WINDOW_COUNTERS) this.#bits.fill(0);
      else {
        for (let skipped = this.#newest + 1; skipped < counter; skipped += 1) {
          const slot = skipped % WINDOW_COUNTERS;
          this.#bits[slot >>> 5]! &= ~(1 << (slot & 31));
        }
      }
      this.#newest = counter;
    }
    const slot = counter % WINDOW_COUNTERS;
    this.#bits[slot >>> 5]! |= 1 << (slot & 31);
  }
}
