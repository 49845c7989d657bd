/**
 * How often health may change the announcement: routers all over the world hear of each change, and
 * some of them punish flapping (RFC 2439). A core without IO.
 */

export interface DampingOptions {
  /** Most changes that health makes in any minute; at least 4. */
  readonly changesPerMinute: number;
  /** After a first change for the worse, health must hold this long before it is announced better. */
  readonly improveAfterMs: number;
}

const MINUTE_MS = 60_000;
/** A change for the worse is held against the node for this long. */
const MEMORY_MS = 600_000;
const IMPROVE_AFTER_MAX_MS = 300_000;
/** Worsenings remembered; each doubles the wait. */
const REMEMBERED_MAX = 16;

/**
 * Worse goes at once, better has to wait: the wait doubles with each change for the worse within ten
 * minutes. From the best state there are at most two steps down before the next step up, so a step
 * up is taken only when two more changes fit into the minute. That makes the limit hard without ever
 * delaying bad news.
 */
export class Damping {
  readonly #options: DampingOptions;
  #changesMs: number[] = [];
  #worseMs: number[] = [];

  constructor(options: DampingOptions) {
    this.#options = options;
  }

  /** How long health has to hold before it is announced better, now. */
  improveAfterMs(nowMs: number): number {
    this.#forget(nowMs);
    const times = this.#worseMs.length;
    if (times === 0) return 0;
    return Math.min(this.#options.improveAfterMs * 2 ** (times - 1), IMPROVE_AFTER_MAX_MS);
  }

  /** Whether a change for the better, and what may follow it, fits into the minute. */
  mayImprove(nowMs: number): boolean {
    this.#forget(nowMs);
    return this.#changesMs.length + 3 <= this.#options.changesPerMinute;
  }

  /** Health changed the announcement. */
  changed(nowMs: number, forWorse: boolean): void {
    this.#forget(nowMs);
    this.#changesMs.push(nowMs);
    if (!forWorse) return;
    this.#worseMs.push(nowMs);
    if (this.#worseMs.length > REMEMBERED_MAX) this.#worseMs.shift();
  }

  /** Times that health got worse lately. */
  get flaps(): number {
    return this.#worseMs.length;
  }

  #forget(nowMs: number): void {
    this.#changesMs = this.#changesMs.filter((atMs) => nowMs - atMs < MINUTE_MS);
    this.#worseMs = this.#worseMs.filter((atMs) => nowMs - atMs < MEMORY_MS);
  }
}
