/**
 * A drain over time: announce worse, wait until the world has heard it, withdraw, let sessions end
 * by themselves (their packets come through healing), then ask those that are left to end. A core
 * without IO. The order is that of RFC 8326 with the sessions added.
 */

/**
 * - `converging`: announced as draining, so that others are preferred before this route goes.
 * - `waiting`: withdrawn; sessions go on through the other nodes.
 * - `closing`: the time is over; what is left is asked to end.
 * - `drained`: nothing is left, or nothing that could be asked.
 */
export type DrainPhase = 'converging' | 'waiting' | 'closing' | 'drained';

export interface DrainOrder {
  /** From the start until sessions are asked to end. */
  readonly forMs: number;
  /** From the start to the withdrawal; never longer than `forMs`. */
  readonly convergeMs: number;
}

export class DrainPlan {
  readonly order: DrainOrder;
  readonly startedMs: number;
  #phase: DrainPhase = 'converging';

  constructor(nowMs: number, order: DrainOrder) {
    this.order = order;
    this.startedMs = nowMs;
  }

  get phase(): DrainPhase {
    return this.#phase;
  }

  /** When the route is withdrawn. */
  get withdrawAtMs(): number {
    return this.startedMs + Math.min(this.order.convergeMs, this.order.forMs);
  }

  /** When sessions are asked to end. */
  get deadlineMs(): number {
    return this.startedMs + this.order.forMs;
  }

  /**
   * @param sessions Open ones.
   * @param canClose Whether somebody can ask them to end: the edge of this node, say.
   * @returns whether the phase changed.
   */
  step(nowMs: number, sessions: number, canClose: boolean): boolean {
    const before = this.#phase;
    if (this.#phase === 'converging' && nowMs >= this.withdrawAtMs) this.#phase = 'waiting';
    if (this.#phase === 'waiting' && sessions === 0) this.#phase = 'drained';
    if (this.#phase === 'waiting' && nowMs >= this.deadlineMs) {
      this.#phase = canClose ? 'closing' : 'drained';
    }
    if (this.#phase === 'closing' && sessions === 0) this.#phase = 'drained';
    return this.#phase !== before;
  }

  /** Everything that could be asked to end has ended or was cut. */
  closed(): void {
    if (this.#phase === 'closing') this.#phase = 'drained';
  }
}
