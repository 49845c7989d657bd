/** Calls to the accused before it is buried at the word of others; any one may be lost. */
const LAST_WORDS = 6;
/** As many fit into the time that is left at least. */
const LAST_WORDS_LEAST = 3;

/**
 * One suspicion: how long it may still be refuted. Starts long and shrinks with each independent
 * confirmation, as in Lifeguard: `max − (max − min) · log(c + 1) / log(k + 1)`, never below `min`.
 */
export class Suspicion {
  #startMs: number;
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #wanted: number;
  readonly #accusers: string[];
  #notBeforeMs = 0;
  #endMs: number;
  #callAtMs = Number.POSITIVE_INFINITY;
  #callGapMs = 0;
  #callsLeft = LAST_WORDS;
  #answered = false;
  #graced = false;

  constructor(nowMs: number, accuser: string, minMs: number, maxMs: number, wanted: number) {
    this.#startMs = nowMs;
    this.#minMs = minMs;
    this.#maxMs = Math.max(minMs, maxMs);
    this.#wanted = wanted;
    this.#accusers = [accuser];
    this.#endMs = this.#end();
  }

  /** @returns true when the accuser is new and still counts: then the claim is worth passing on. */
  confirm(accuser: string): boolean {
    if (this.#accusers.length > this.#wanted || this.#accusers.includes(accuser)) return false;
    this.#accusers.push(accuser);
    this.#endMs = this.#end();
    return true;
  }

  /**
   * Somebody's own suspicion ran out: no more confirmation is needed, only a last word, for which
   * there are at least `lastWordMs`.
   * @returns false when that was known.
   */
  confirmFully(nowMs: number, lastWordMs: number): boolean {
    if (this.#notBeforeMs > 0) return false;
    this.#notBeforeMs = nowMs + lastWordMs;
    this.#callAtMs = nowMs;
    this.#callGapMs = lastWordMs / LAST_WORDS_LEAST;
    this.#endMs = this.#end();
    return true;
  }

  isAccuser(id: string): boolean {
    return this.#accusers.includes(id);
  }

  /** The accused answered a probe. It may simply not have heard of the accusation. */
  answered(): void {
    this.#answered = true;
  }

  /**
   * The end has come. One who answered meanwhile gets, once, the time for a last word.
   * @returns false when it had that, or was silent.
   */
  takeGrace(nowMs: number, lastWordMs: number): boolean {
    if (!this.#answered || this.#graced) return false;
    this.#graced = true;
    this.#notBeforeMs = 0;
    this.#callsLeft = LAST_WORDS;
    return this.confirmFully(nowMs, lastWordMs);
  }

  /** @returns true when the accused shall be asked for its last word now. */
  takeCall(nowMs: number): boolean {
    if (nowMs < this.#callAtMs) return false;
    this.#callsLeft -= 1;
    this.#callAtMs = this.#callsLeft > 0 ? nowMs + this.#callGapMs : Number.POSITIVE_INFINITY;
    return true;
  }

  /** Moves the end: time in which this node itself stood still does not count. */
  postpone(byMs: number): void {
    this.#startMs += byMs;
    if (this.#notBeforeMs > 0) this.#notBeforeMs += byMs;
    this.#endMs = this.#end();
  }

  get endMs(): number {
    return this.#endMs;
  }

  /** When it ends or the accused is asked again, whichever comes first. */
  get nextMs(): number {
    return Math.min(this.#endMs, this.#callAtMs);
  }

  #end(): number {
    const confirmed = this.#accusers.length - 1;
    const certain = this.#wanted < 1 || this.#notBeforeMs > 0;
    const share = certain ? 1 : Math.min(1, Math.log(confirmed + 1) / Math.log(this.#wanted + 1));
    const lengthMs = this.#maxMs - (this.#maxMs - this.#minMs) * share;
    return Math.max(this.#startMs + lengthMs, this.#notBeforeMs);
  }
}

/** Shortest suspicion for a mesh of `nodes`. */
export function suspicionMinMs(multiplier: number, nodes: number, intervalMs: number): number {
  return multiplier * Math.max(1, Math.log10(Math.max(1, nodes))) * intervalMs;
}
