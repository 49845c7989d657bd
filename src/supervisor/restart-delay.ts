/** How long to wait before a crashed worker is replaced. A core: time is handed in. */

/** A worker that dies this soon after its start will probably do so again. */
const EARLY_MS = 1_000;
const FIRST_MS = 100;
const LONGEST_MS = 10_000;

export class RestartDelay {
  #failures = 0;

  /**
   * Notes a death and gives the delay before the next start, milliseconds: 0 after a useful life,
   * else 100 ms, doubled for each further early death, up to 10 s.
   */
  afterDeath(lifeMs: number): number {
    if (lifeMs >= EARLY_MS) {
      this.#failures = 0;
      return 0;
    }
    const delayMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return delayMs;
  }
}
