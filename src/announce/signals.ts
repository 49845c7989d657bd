/** Observations of a node's health, and when they are believed. A core without IO. */
import type { AnnounceState } from './state.ts';

/** One thing that was looked at. */
export interface Signal {
  /** The same from one look to the next: `listener 192.0.2.10:443`, `site app.example.com`. */
  readonly name: string;
  readonly good: boolean;
  /** How far the announcement goes down while it is bad. */
  readonly effect: 'degraded' | 'down';
  /**
   * Other nodes probably see the same, because it is not this node's fault: an origin that all of
   * them ask. Not a reason to withdraw when nobody else is well.
   */
  readonly shared: boolean;
  /** What is wrong, for people; read only while it is bad. */
  readonly text: string;
}

/** A signal that is believed to be bad. */
export interface Trouble {
  readonly name: string;
  readonly effect: Exclude<AnnounceState, 'up' | 'draining'>;
  readonly shared: boolean;
  readonly text: string;
  readonly sinceMs: number;
}

/** Most signals that are kept; further ones are ignored. */
export const SIGNALS_MAX = 4_096;

interface Kept {
  signal: Signal;
  /** As it is believed. */
  isGood: boolean;
  sinceMs: number;
  /** Looks in a row that contradict it. */
  against: number;
  /** Bad looks until it is known to be bad, not just not known to be good. */
  unproven: number;
}

/** Believes a change after `rise` good or `fall` bad looks in a row. */
export class Signals {
  readonly #rise: number;
  readonly #fall: number;
  readonly #kept = new Map<string, Kept>();

  constructor(rise: number, fall: number) {
    this.#rise = rise;
    this.#fall = fall;
  }

  /**
   * Takes one look at everything; what is not in it any more is forgotten.
   * @param trusting Whether what is seen first is believed good until shown otherwise. Else it has
   * to prove itself.
   */
  look(nowMs: number, signals: readonly Signal[], trusting: boolean): void {
    const names = new Set<string>();
    for (const signal of signals.slice(0, SIGNALS_MAX)) {
      names.add(signal.name);
      const kept = this.#kept.get(signal.name);
      if (kept === undefined) {
        const isGood = trusting;
        const against = signal.good === isGood ? 0 : 1;
        const unproven = isGood ? 0 : this.#fall - Number(!signal.good);
        const first = { signal, isGood, sinceMs: nowMs, against, unproven };
        this.#kept.set(signal.name, first);
        this.#believe(nowMs, first);
        continue;
      }
      kept.signal = signal;
      kept.against = signal.good === kept.isGood ? 0 : kept.against + 1;
      if (!signal.good && kept.unproven > 0) kept.unproven -= 1;
      this.#believe(nowMs, kept);
    }
    for (const name of this.#kept.keys()) if (!names.has(name)) this.#kept.delete(name);
  }

  /** What is believed to be bad, worst first. */
  get troubles(): readonly Trouble[] {
    const troubles: Trouble[] = [];
    for (const { signal, isGood, sinceMs, against, unproven } of this.#kept.values()) {
      if (isGood) continue;
      const { name, effect, good, text } = signal;
      // What nobody has looked at long enough is no reason to fail open.
      const shared = signal.shared && unproven === 0;
      const waiting = good ? `${name} was well for ${against} of ${this.#rise} looks` : text;
      troubles.push({ name, effect, shared, text: waiting, sinceMs });
    }
    return troubles.sort((a, b) => Number(b.effect === 'down') - Number(a.effect === 'down'));
  }

  #believe(nowMs: number, kept: Kept): void {
    if (kept.against < (kept.isGood ? this.#fall : this.#rise)) return;
    kept.isGood = !kept.isGood;
    kept.unproven = 0;
    kept.against = 0;
    kept.sinceMs = nowMs;
  }
}
