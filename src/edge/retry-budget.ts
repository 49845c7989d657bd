/**
 * How many retries a route may make, as a share of its requests: when everything fails, retries
 * must not multiply the load (a token bucket as in Finagle's RetryBudget). A core.
 */

/** Enough for a route with little traffic, which has earned nothing yet. */
const FLOOR_TOKENS = 10;
/** A quiet hour must not pay for a storm: so many requests are remembered. */
const REMEMBERED_REQUESTS = 1_000;

export class RetryBudget {
  readonly #ratio: number;
  readonly #capacity: number;
  #tokens = FLOOR_TOKENS;

  /** @param ratio Retries earned by each request, 0 to 1. 0 allows none at all. */
  constructor(ratio: number) {
    this.#ratio = ratio;
    this.#capacity = Math.max(FLOOR_TOKENS, ratio * REMEMBERED_REQUESTS);
    if (ratio === 0) this.#tokens = 0;
  }

  /** Once per request, not per attempt. */
  deposit(): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + this.#ratio);
  }

  /** True when a retry may be made; it is then paid for. */
  tryTake(): boolean {
    // Sums of 0.1 and 0.2 come out a hair below a whole number.
    if (this.#tokens < 1 - 1e-9) return false;
    this.#tokens -= 1;
    return true;
  }
}
