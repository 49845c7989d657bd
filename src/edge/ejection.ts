/**
 * Passive ejection: an origin that fails several times in a row gets no requests for a while. A
 * core; the time is handed in.
 *
 * The first ejection lasts `baseMs`, each further one twice as long, at most `maxMs`. When it comes
 * back, its first failure ejects it again, its first success gives it the full count again. For
 * each time as long as its last ejection that it then stays in service, one doubling is forgiven.
 */
import type { EjectionConfig } from '../config/schema.ts';
import type { OriginState } from './origin-state.ts';

export class Ejection {
  readonly #config: EjectionConfig;

  constructor(config: EjectionConfig) {
    this.#config = config;
  }

  succeeded(origin: OriginState): void {
    origin.consecutiveFailures = 0;
    origin.provenSinceEjection = true;
  }

  /** Counts a failure. True when this one ejects. */
  failed(origin: OriginState, origins: readonly OriginState[], nowMs: number): boolean {
    origin.failures += 1;
    const { failures } = this.#config;
    if (failures === 0) return false;
    // What was under way when it was ejected says nothing new.
    if (origin.isEjected(nowMs)) return false;
    origin.consecutiveFailures += 1;
    if (origin.consecutiveFailures < failures) return false;
    if (!this.#mayLose(origin, origins, nowMs)) return false;
    origin.lastEjectionMs = this.#lengthMs(origin, nowMs);
    origin.ejectedUntilMs = nowMs + origin.lastEjectionMs;
    origin.provenSinceEjection = false;
    origin.consecutiveFailures = failures - 1;
    origin.ejections += 1;
    return true;
  }

  /**
   * At most half of the origins may be out, counting those that active checks found unhealthy: the
   * rest would be crushed by the load of the others. So a single origin is never ejected.
   */
  #mayLose(origin: OriginState, origins: readonly OriginState[], nowMs: number): boolean {
    let out = 1;
    for (const other of origins) {
      if (other !== origin && (!other.healthy || other.isEjected(nowMs))) out += 1;
    }
    return out <= Math.floor(origins.length / 2);
  }

  #lengthMs(origin: OriginState, nowMs: number): number {
    const { baseMs, maxMs } = this.#config;
    const last = origin.lastEjectionMs;
    const first = Math.min(baseMs, maxMs);
    if (last === 0) return first;
    let next = last * 2;
    if (origin.provenSinceEjection) {
      const forgiven = Math.floor((nowMs - origin.ejectedUntilMs) / last);
      // 2^-n reaches 0 for a large n, which the lower bound below catches.
      next *= 2 ** -forgiven;
    }
    return Math.min(Math.max(next, first), maxMs);
  }
}
