/**
 * Seeded pseudo-random numbers (sfc32, Chris Doty-Humphrey, PractRand). Not for secrets: it spreads
 * probes and picks gossip targets. The shell seeds it from the operating system, the simulator from
 * a number, so a simulated run can be repeated exactly.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed Any number; only its value modulo 2^32 and its high part count. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 4_294_967_296) | 0;
    this.#c = 0x9e3779b9 | 0;
    // Neighbouring seeds give unrelated sequences only after some mixing.
    for (let i = 0; i < 15; i += 1) this.u32();
  }

  /** Uniform in 0 … 2^32 − 1. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.u32() / 4_294_967_296;
  }

  /** Uniform integer in 0 … `limit` − 1; `limit` from 1 to 2^32. */
  below(limit: number): number {
    return Math.floor(this.float() * limit);
  }

  /** Uniform in [`low`, `high`). */
  between(low: number, high: number): number {
    return low + this.float() * (high - low);
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.float() < probability;
  }

  /** Shuffles in place (Fisher–Yates). */
  shuffle<T>(items: T[]): void {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      const held = items[i]!;
      items[i] = items[j]!;
      items[j] = held;
    }
  }

  /** An independent generator, so that one part's draws do not change another's. */
  fork(): Random {
    return new Random(this.u32() + this.u32() * 4_294_967_296);
  }
}
