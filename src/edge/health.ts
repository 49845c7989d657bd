/** Rise and fall of one actively checked origin. A core. */

export class HealthState {
  readonly #rise: number;
  readonly #fall: number;
  #healthy: boolean;
  /** Results in a row that speak against the present state. */
  #against = 0;

  /**
   * @param limits `rise`: successes in a row that make it healthy; `fall`: failures in a row that
   *   make it unhealthy.
   * @param healthy State to begin with. Default true: a node that starts must serve before its
   *   first checks are done.
   */
  constructor(limits: { readonly rise: number; readonly fall: number }, healthy = true) {
    this.#rise = limits.rise;
    this.#fall = limits.fall;
    this.#healthy = healthy;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  /** Counts one result. Gives the transition that it made, if any. */
  report(ok: boolean): 'up' | 'down' | undefined {
    if (ok === this.#healthy) {
      this.#against = 0;
      return undefined;
    }
    this.#against += 1;
    if (this.#against < (this.#healthy ? this.#fall : this.#rise)) return undefined;
    this.#healthy = ok;
    this.#against = 0;
    return ok ? 'up' : 'down';
  }
}
