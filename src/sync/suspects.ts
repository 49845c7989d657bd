import type { Entry } from './member-table.ts';
import type { Suspicion } from './suspicion.ts';

/** The suspected nodes, and when the first suspicion ends: asked after every datagram. */
export class Suspects {
  readonly #entries = new Set<Entry>();
  #nextEndMs = Number.POSITIVE_INFINITY;
  /** Some end moved or went: look at all again. */
  #stale = false;

  get nextEndMs(): number {
    if (this.#stale) {
      this.#stale = false;
      this.#nextEndMs = Number.POSITIVE_INFINITY;
      for (const { suspicion } of this.#entries) {
        this.#nextEndMs = Math.min(this.#nextEndMs, suspicion!.endMs);
      }
    }
    return this.#nextEndMs;
  }

  add(entry: Entry, suspicion: Suspicion): void {
    entry.suspicion = suspicion;
    this.#entries.add(entry);
    this.#nextEndMs = Math.min(this.#nextEndMs, suspicion.endMs);
  }

  remove(entry: Entry): void {
    if (entry.suspicion === undefined) return;
    if (entry.suspicion.endMs <= this.#nextEndMs) this.#stale = true;
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

  /** Calls for each whose suspicion ended; it may be removed. */
  ended(nowMs: number, each: (entry: Entry) => void): void {
    if (this.nextEndMs > nowMs) return;
    for (const entry of this.#entries) if (entry.suspicion!.endMs <= nowMs) each(entry);
  }
}
