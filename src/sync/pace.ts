/** A token bucket on handed-in time. Starts full. */
export class Pace {
  readonly #perMs: number;
  readonly #most: number;
  #tokens: number;
  #atMs = Number.NEGATIVE_INFINITY;

  /** @param most Tokens that may be saved up, the longest burst. */
  constructor(perSecond: number, most: number) {
    this.#perMs = perSecond / 1_000;
    this.#most = most;
    this.#tokens = most;
  }

  /** Takes `count` tokens if that many are there. */
  take(nowMs: number, count: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /**
   * Takes tokens that may go below zero: for work whose size is known only afterwards. Ask
   * {@link open} before.
   */
  spend(nowMs: number, count: number): void {
    this.#refill(nowMs);
    this.#tokens -= count;
  }

  open(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens > 0;
  }

  #refill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    const passedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#most, this.#tokens + passedMs * this.#perMs);
  }
}
