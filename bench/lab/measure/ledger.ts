/**
 * The life of every session of a run, kept from what the clients report. Pure: it is given events
 * and asked for states; nothing here knows the time.
 */
import type { ClientEvent, SessionEnd, SessionKind } from '../clients/event.ts';

export interface SessionRecord {
  readonly name: string;
  readonly kind: SessionKind;
  startedAtMs: number | undefined;
  progressAtMs: number | undefined;
  done: number;
  total: number;
  end: { readonly atMs: number; readonly how: SessionEnd; readonly detail: string } | undefined;
  /** Arrival times of echoes; empty for kinds that have none. */
  readonly echoAtMs: number[];
  readonly rttMs: number[];
}

/** Bounds the memory of a run: 1 000 streams at 50 echoes a second for two minutes. */
const ECHOES_MAX = 6_000_000;

export class Ledger {
  readonly #sessions = new Map<string, SessionRecord>();
  #echoes = 0;

  /** Sessions are made known before their first event; events of unknown ones are ignored. */
  expect(kind: SessionKind, names: readonly string[]): void {
    for (const name of names) {
      this.#sessions.set(name, {
        name,
        kind,
        startedAtMs: undefined,
        progressAtMs: undefined,
        done: 0,
        total: 0,
        end: undefined,
        echoAtMs: [],
        rttMs: [],
      });
    }
  }

  /** What comes after a session's end is ignored. */
  accept(event: ClientEvent): void {
    const session = this.#sessions.get(event.session);
    if (session === undefined || session.end !== undefined) return;
    switch (event.type) {
      case 'start':
        session.startedAtMs ??= event.atMs;
        return;
      case 'progress':
        if (event.done > session.done) session.progressAtMs = event.atMs;
        session.done = event.done;
        session.total = event.total;
        return;
      case 'echoes':
        this.#echoes += event.atMs.length;
        if (this.#echoes > ECHOES_MAX) return;
        session.echoAtMs.push(...event.atMs);
        session.rttMs.push(...event.rttMs);
        return;
      case 'end':
        session.end = { atMs: event.atMs, how: event.how, detail: event.detail };
        if (event.how === 'complete') session.done = session.total;
        return;
    }
  }

  /** Sessions that have not ended by now are judged stalled. */
  giveUp(atMs: number): void {
    for (const session of this.#sessions.values()) {
      session.end ??= { atMs, how: 'stalled', detail: 'did not end in time' };
    }
  }

  get sessions(): readonly SessionRecord[] {
    return [...this.#sessions.values()];
  }

  /** True once every session has begun or has already failed. */
  get allUnderWay(): boolean {
    return this.sessions.every((s) => s.startedAtMs !== undefined || s.end !== undefined);
  }

  get allEnded(): boolean {
    return this.sessions.every((s) => s.end !== undefined);
  }
}
