/**
 * The life of every session of a run, kept from what the clients report. Pure: it is given events
 * and asked for states; nothing here knows the time.
 */
import type { ClientEvent, SessionEnd, SessionKind } from '../clients/event.ts';
import { Activity } from './activity.ts';

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
  /** Lost connections that were replaced, in order. */
  readonly reconnects: {
    readonly lostAtMs: number;
    readonly servedAtMs: number;
    readonly resumed: boolean;
  }[];
}

/** What the progress of a kind counts; kinds that are left out tell it by their echoes. */
const PROGRESS_OF: Readonly<Partial<Record<SessionKind, 'bytes' | 'messages'>>> = {
  download: 'bytes',
  upload: 'bytes',
  sse: 'messages',
};

/** Bounds the memory of a run: 1 000 streams at 50 echoes a second for two minutes. */
const ECHOES_MAX = 6_000_000;
/** Of one session. */
const RECONNECTS_MAX = 10_000;

export class Ledger {
  readonly #sessions = new Map<string, SessionRecord>();
  /** What was carried, by time. */
  readonly activity = new Activity();
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
        reconnects: [],
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
        this.#advance(session, event.done, event.atMs);
        if (event.done > session.done) session.progressAtMs = event.atMs;
        session.done = event.done;
        session.total = event.total;
        return;
      case 'echoes':
        for (const atMs of event.atMs) this.activity.carried('messages', atMs, atMs, 1);
        this.#echoes += event.atMs.length;
        if (this.#echoes > ECHOES_MAX) return;
        session.echoAtMs.push(...event.atMs);
        session.rttMs.push(...event.rttMs);
        return;
      case 'reconnect': {
        const { lostAtMs, atMs: servedAtMs, resumed } = event;
        if (session.reconnects.length < RECONNECTS_MAX) {
          session.reconnects.push({ lostAtMs, servedAtMs, resumed });
        }
        return;
      }
      case 'end':
        session.end = { atMs: event.atMs, how: event.how, detail: event.detail };
        if (event.how === 'complete') {
          this.#advance(session, session.total, event.atMs);
          session.done = session.total;
        }
        return;
    }
  }

  #advance(session: SessionRecord, done: number, atMs: number): void {
    const what = PROGRESS_OF[session.kind];
    if (what === undefined) return;
    const sinceMs = session.progressAtMs ?? session.startedAtMs ?? atMs;
    this.activity.carried(what, sinceMs, atMs, done - session.done);
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
