/**
 * The choice among the origins of a route. A core.
 *
 * `hash-…` is rendezvous hashing (highest random weight; Thaler and Ravishankar 1998): when an
 * origin goes away, its keys alone move, spread over the others, and they move back when it returns.
 * Without the header or cookie that is to be hashed the client's address takes its place, so that
 * the first request of a client does not fall always to the same origin.
 */
import type { BalanceConfig } from '../config/schema.ts';
import { keyHash, mixed } from './key-hash.ts';
import type { OriginState } from './origin-state.ts';
import { cookieValue } from './sticky.ts';

/** What a choice may depend on. */
export interface PickKey {
  readonly clientAddress: string;
  /** The whole Cookie header. */
  readonly cookie: string | undefined;
  /** The first value of a request header. The name is as the configuration spells it. */
  header(name: string): string | undefined;
}

type Kind = 'turn' | 'least' | 'client' | 'header' | 'cookie';

export class Balance {
  readonly #kind: Kind;
  readonly #keyName: string;
  readonly #origins: readonly OriginState[];
  /** One fixed number per origin, from its id: the same on every node. */
  readonly #seeds: readonly number[];
  readonly #limit: number;
  /** Whose turn it is. */
  #next: number;
  /** A usable origin was passed over in the last `choose` because it was full. */
  sawFull = false;

  /** @param limit Requests in flight at which an origin is full. */
  constructor(
    config: BalanceConfig,
    origins: readonly OriginState[],
    limit: number,
    random: () => number,
  ) {
    this.#kind = kindOf(config);
    this.#keyName = keyNameOf(config);
    this.#origins = origins;
    this.#seeds = origins.map((origin) => keyHash(origin.id));
    this.#limit = limit;
    // Many workers and nodes start at once: they should not all begin with the first origin.
    this.#next = Math.floor(random() * origins.length);
  }

  /**
   * The origin for a request, or `undefined` when none is free; see {@link sawFull} for why.
   * @param tried Left out.
   * @param allowEjected Passively ejected origins count as usable.
   */
  choose(
    key: PickKey,
    nowMs: number,
    tried: readonly OriginState[] | undefined,
    allowEjected: boolean,
  ): OriginState | undefined {
    this.sawFull = false;
    switch (this.#kind) {
      case 'turn':
        return this.#inTurn(nowMs, tried, allowEjected);
      case 'least':
        return this.#leastBusy(nowMs, tried, allowEjected);
      case 'client':
        return this.#byHash(key.clientAddress, nowMs, tried, allowEjected);
      case 'header': {
        const value = key.header(this.#keyName);
        return this.#byHash(value ?? key.clientAddress, nowMs, tried, allowEjected);
      }
      case 'cookie': {
        const value = cookieValue(key.cookie, this.#keyName);
        return this.#byHash(value ?? key.clientAddress, nowMs, tried, allowEjected);
      }
    }
  }

  /** True when the origin may get one more request. Notes when being full is all that is against it. */
  isFree(
    origin: OriginState,
    nowMs: number,
    tried: readonly OriginState[] | undefined,
    allowEjected: boolean,
  ): boolean {
    if (!origin.healthy) return false;
    if (!allowEjected && origin.isEjected(nowMs)) return false;
    if (tried?.includes(origin)) return false;
    if (origin.inFlight < this.#limit) return true;
    this.sawFull = true;
    return false;
  }

  #inTurn(
    nowMs: number,
    tried: readonly OriginState[] | undefined,
    allowEjected: boolean,
  ): OriginState | undefined {
    const count = this.#origins.length;
    for (let step = 0; step < count; step++) {
      const index = (this.#next + step) % count;
      const origin = this.#origins[index]!;
      if (!this.isFree(origin, nowMs, tried, allowEjected)) continue;
      // A retry does not move the turn, or with two origins every request would begin at the bad one.
      if (tried === undefined) this.#next = (index + 1) % count;
      return origin;
    }
    return undefined;
  }

  #leastBusy(
    nowMs: number,
    tried: readonly OriginState[] | undefined,
    allowEjected: boolean,
  ): OriginState | undefined {
    const count = this.#origins.length;
    let best: OriginState | undefined;
    for (let step = 0; step < count; step++) {
      const origin = this.#origins[(this.#next + step) % count]!;
      if (best !== undefined && origin.inFlight >= best.inFlight) continue;
      if (this.isFree(origin, nowMs, tried, allowEjected)) best = origin;
    }
    if (best !== undefined && tried === undefined) this.#next = (best.index + 1) % count;
    return best;
  }

  #byHash(
    key: string,
    nowMs: number,
    tried: readonly OriginState[] | undefined,
    allowEjected: boolean,
  ): OriginState | undefined {
    const hash = keyHash(key);
    let best: OriginState | undefined;
    let bestScore = -1;
    for (let index = 0; index < this.#origins.length; index++) {
      const score = mixed(hash ^ this.#seeds[index]!);
      if (score <= bestScore) continue;
      const origin = this.#origins[index]!;
      if (!this.isFree(origin, nowMs, tried, allowEjected)) continue;
      best = origin;
      bestScore = score;
    }
    return best;
  }
}

function kindOf(config: BalanceConfig): Kind {
  if (typeof config !== 'string') return 'hashHeader' in config ? 'header' : 'cookie';
  if (config === 'hash-client') return 'client';
  return config === 'round-robin' ? 'turn' : 'least';
}

function keyNameOf(config: BalanceConfig): string {
  if (typeof config === 'string') return '';
  return 'hashHeader' in config ? config.hashHeader : config.hashCookie;
}
