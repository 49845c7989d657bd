import type { Entry } from './member-table.ts';
import type { Suspicion } from './suspicion.ts';

/** The suspected nodes, and when the first of them is due: asked after every datagram. */
export class Suspects {
  readonly #entries = new Set<Entry>();
  #nextMs = Number.POSITIVE_INFINITY;
  /** Some end moved or went: look at all again. */
  #stale = false;

  get nextMs(): number {
    if (this.#stale) {
      this.#stale = false;
      this.#nextMs = Number.POSITIVE_INFINITY;
      for (const { suspicion } of this.#entries) {
        this.#nextMs = Math.min(this.#nextMs, suspicion!.nextMs);
      }
    }
    return this.#nextMs;
  }

  add(entry: Entry, suspicion: Suspicion): void {
    entry.suspicion = suspicion;
    this.#entries.add(entry);
    this.#nextMs = Math.min(this.#nextMs, suspicion.nextMs);
  }

  remove(entry: Entry): void {
    if (entry.suspicion === undefined) return;
    if (entry.suspicion.nextMs <= this.#nextMs) this.#stale = true;
    entry.suspicion = undefined;
    this.#entries.delete(entry);
  }

  /** Says that a suspicion was confirmed. */
  confirmed(): void {
    this.#stale = true;
  }

  postpone(byMs: number): void {
    for (const entry of this.#entries) entry.suspicion!.postpone(byMs);
    this.#stale = true;
  }

  /**
   * Says whose suspicion ended, and who shall be asked for a last word. The ended ones may be
   * removed meanwhile.
   */
  due(nowMs: number, ended: (entry: Entry) => void, call: (entry: Entry) => void): void {
    if (this.nextMs > nowMs) return;
    this.#stale = true;
    for (const entry of this.#entries) {
      const { endMs } = entry.suspicion!;
      if (endMs <= nowMs) ended(entry);
      else if (entry.suspicion!.takeCall(nowMs)) call(entry);
    }
  }
}
