/**
 * The origins of one route: who is usable, who is next, who is full. A core; the time and the
 * randomness are handed in. The caller pairs each `acquire` with one `release`, and says once per
 * attempt how it went.
 */
import type { Origin } from '../config/origin.ts';
import type { BalanceConfig, EjectionConfig, RetryConfig, StickyConfig } from '../config/schema.ts';
import { Balance, type PickKey } from './balance.ts';
import { Ejection } from './ejection.ts';
import { OriginState } from './origin-state.ts';
import { StickyCookie } from './sticky.ts';

export type { PickKey } from './balance.ts';
export { OriginState } from './origin-state.ts';
export { RetryBudget } from './retry-budget.ts';
export { WaitQueue } from './wait-queue.ts';

export interface OriginPoolOptions {
  /** At least one. */
  readonly origins: readonly Origin[];
  readonly balance: BalanceConfig;
  readonly ejection: EjectionConfig;
  /** Not used here: the budget belongs to the route. */
  readonly retry?: RetryConfig;
  readonly sticky?: StickyConfig;
  /** Requests and tunnels in flight at which an origin is full. */
  readonly connectionsPerOrigin: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** One origin on a status page. */
export interface OriginSnapshot {
  readonly id: string;
  readonly url: string;
  readonly healthy: boolean;
  /** Milliseconds until it is used again; 0 when it is not ejected. */
  readonly ejectedForMs: number;
  readonly inFlight: number;
  readonly consecutiveFailures: number;
  readonly requests: number;
  readonly failures: number;
  readonly ejections: number;
}

export class OriginPool {
  readonly origins: readonly OriginState[];
  readonly #balance: Balance;
  readonly #ejection: Ejection;
  readonly #sticky: StickyCookie | undefined;

  constructor(options: OriginPoolOptions) {
    this.origins = options.origins.map((origin, index) => new OriginState(origin, index));
    this.#balance = new Balance(
      options.balance,
      this.origins,
      options.connectionsPerOrigin,
      options.random,
    );
    this.#ejection = new Ejection(options.ejection);
    this.#sticky = options.sticky === undefined ? undefined : new StickyCookie(options.sticky);
  }

  /**
   * The origin for a request. `'saturated'`: there are healthy ones, but all are full.
   * `undefined`: active checks found all unhealthy.
   *
   * The origin that a sticky cookie names comes first if it is usable; being full counts as
   * unusable, since a browser that waits for one origin would hold up the queue of all. Origins in
   * `tried` are taken only when no other is free. Passively ejected ones are taken when nothing
   * else is left: an ejection is a guess, and a refusal for a guess is worse than a try.
   */
  pick(
    key: PickKey,
    nowMs: number,
    tried: readonly OriginState[] | undefined,
  ): OriginState | 'saturated' | undefined {
    const named = this.#stickyOrigin(key, nowMs, tried);
    if (named !== undefined) return named;
    const balance = this.#balance;
    let found = balance.choose(key, nowMs, tried, false);
    if (found !== undefined) return found;
    if (tried !== undefined) {
      found = balance.choose(key, nowMs, undefined, false);
      if (found !== undefined) return found;
    }
    if (balance.sawFull) return 'saturated';
    found = balance.choose(key, nowMs, tried, true);
    if (found === undefined && tried !== undefined) {
      found = balance.choose(key, nowMs, undefined, true);
    }
    if (found !== undefined) return found;
    return balance.sawFull ? 'saturated' : undefined;
  }

  /** Takes a place at an origin. */
  acquire(origin: OriginState): void {
    origin.inFlight += 1;
    origin.requests += 1;
  }

  /** Gives the place back. */
  release(origin: OriginState): void {
    if (origin.inFlight > 0) origin.inFlight -= 1;
  }

  /** The origin answered, whatever the status. */
  succeeded(origin: OriginState): void {
    this.#ejection.succeeded(origin);
  }

  /** No connection, time-out or broken answer. True when this failure ejected the origin. */
  failed(origin: OriginState, nowMs: number): boolean {
    return this.#ejection.failed(origin, this.origins, nowMs);
  }

  /** The word of active checks. An id that is not in this pool is ignored. */
  setHealthy(id: string, healthy: boolean): void {
    for (const origin of this.origins) if (origin.id === id) origin.healthy = healthy;
  }

  /** True when the route is sticky and the request's cookie does not name this origin. */
  needsStickyCookie(cookieHeader: string | undefined, origin: OriginState): boolean {
    if (this.#sticky === undefined) return false;
    return this.#sticky.originId(cookieHeader) !== origin.id;
  }

  /**
   * The Set-Cookie value that names an origin, `undefined` when the route is not sticky.
   * @param secure True when the client came over TLS.
   */
  stickyCookie(origin: OriginState, secure: boolean): string | undefined {
    return this.#sticky?.setCookie(origin.id, secure);
  }

  /** Plain data for status pages. */
  snapshot(nowMs: number): OriginSnapshot[] {
    return this.origins.map((origin) => ({
      id: origin.id,
      url: origin.origin.url,
      healthy: origin.healthy,
      ejectedForMs: Math.max(0, Math.ceil(origin.ejectedUntilMs - nowMs)),
      inFlight: origin.inFlight,
      consecutiveFailures: origin.consecutiveFailures,
      requests: origin.requests,
      failures: origin.failures,
      ejections: origin.ejections,
    }));
  }

  #stickyOrigin(
    key: PickKey,
    nowMs: number,
    tried: readonly OriginState[] | undefined,
  ): OriginState | undefined {
    if (this.#sticky === undefined) return undefined;
    const id = this.#sticky.originId(key.cookie);
    if (id === undefined) return undefined;
    for (const origin of this.origins) {
      if (origin.id === id && this.#balance.isFree(origin, nowMs, tried, false)) return origin;
    }
    return undefined;
  }
}
