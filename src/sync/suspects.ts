import type { Entry } from './member-table.ts';
import type { MembershipSettings } from './settings.ts';
import { Suspicion, suspicionMinMs } from './suspicion.ts';

/** The suspected nodes, and when the first of them is due: asked after every datagram. */
export class Suspects {
  readonly #settings: MembershipSettings;
  readonly #entries = new Set<Entry>();
  #nextMs = Number.POSITIVE_INFINITY;
  /** Some end moved or went: look at all again. */
  #stale = false;

  constructor(settings: MembershipSettings) {
    this.#settings = settings;
  }

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

  /** @param nodes How many live nodes there are, this one and the suspect included. */
  add(nowMs: number, entry: Entry, accuser: string, nodes: number): void {
    const { suspicionMultiplier, suspicionMaxFactor, probeIntervalMs } = this.#settings;
    const minMs = suspicionMinMs(suspicionMultiplier, nodes, probeIntervalMs);
    // With too few others, confirmations cannot come: do not wait for them.
    const wanted = Math.min(this.#settings.confirmations, Math.max(0, nodes - 3));
    const suspicion = new Suspicion(nowMs, accuser, minMs, minMs * suspicionMaxFactor, wanted);
    if (entry.otherLifeEnded) suspicion.confirmFully(nowMs, this.#settings.lastWordMs);
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
      const suspicion = entry.suspicion!;
      const isOver = suspicion.endMs <= nowMs;
      if (isOver && !suspicion.takeGrace(nowMs, this.#settings.lastWordMs)) ended(entry);
      else if (suspicion.takeCall(nowMs)) call(entry);
    }
  }
}
