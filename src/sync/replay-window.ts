/** Counters behind the newest that may still arrive. */
const WINDOW_COUNTERS = 1_024;
const WORD_BITS = 32;

const WINDOW_BYTES = WINDOW_COUNTERS / 8;
/** Windows are cut from larger pieces: sessions are many, and memory of its own costs each more. */
const PIECE_BYTES = 32 * WINDOW_BYTES;
let piece = new ArrayBuffer(PIECE_BYTES);
let pieceUsed = 0;

function emptyBits(): Uint32Array {
  if (pieceUsed === PIECE_BYTES) {
    piece = new ArrayBuffer(PIECE_BYTES);
    pieceUsed = 0;
  }
  const bits = new Uint32Array(piece, pieceUsed, WINDOW_COUNTERS / WORD_BITS);
  pieceUsed += WINDOW_BYTES;
  return bits;
}

/** Which counters were seen: each is accepted once, too old ones never (as RFC 6479). */
export class ReplayWindow {
  readonly #bits = emptyBits();
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
