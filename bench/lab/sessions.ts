/** The sessions of one run: started, watched, waited for. What happens to them is others' business. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientContext, type ClientRun, together } from './clients/client.ts';
import { type ClientMix, SESSION_KINDS, type SessionKind } from './clients/event.ts';
import { clientDrivers } from './clients/registry.ts';
import { monotonicMs } from './clock.ts';
import { Endings } from './endings.ts';
import { LabError } from './errors.ts';
import { Ledger } from './measure/ledger.ts';
import type { RunObserver } from './observer.ts';
import type { Scenario } from './scenarios/scenario.ts';
import type { PopPlan } from './topology.ts';

/** Sessions live this much longer than the run, so that those begun first do not end too early. */
const RAMP_MS = 1_500;
/** A program for each transfer: starting hundreds takes its time. */
const RAMP_EACH_TRANSFER_MS = 30;
/** More than 50 streams are given some more time to begin. */
const RAMP_EACH_STREAM_MS = 2;
const START_TIMEOUT_MS = 15_000;
/** More time to begin for each session: thousands cannot begin at once. */
const START_EACH_MS = 5;
const LAST_WORDS_MS = 3_000;
const TICK_MS = 200;

/** Where sessions run and what they talk to. */
export type Venue = Pick<
  ClientContext,
  | 'namespace'
  | 'baseUrl'
  | 'tls'
  | 'host'
  | 'port'
  | 'labDirectory'
  | 'directory'
  | 'contentDirectory'
>;

export interface SessionsOptions {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly durationMs: number;
  readonly clients: ClientMix;
  /** Size of one download or upload. Default the scenario's. */
  readonly transferBytes?: number | undefined;
  /** From one message of a stream to the next. Default the scenario's. */
  readonly everyMs?: number | undefined;
  /** A session without progress for this long has stalled. Default the scenario's. */
  readonly stallMs?: number | undefined;
  /** How much longer than the run sessions live. Default by their number, at least 1 500. */
  readonly rampMs?: number | undefined;
  readonly observer: RunObserver;
  readonly signal?: AbortSignal | undefined;
}

export class Sessions {
  readonly ledger = new Ledger();
  readonly #endings = new Endings();
  readonly #runs: ClientRun[] = [];
  readonly #options: SessionsOptions;
  readonly #pops: readonly PopPlan[];
  readonly #routeTo: () => PopPlan | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #beganAtMs = 0;

  /** @param routeTo Asked for the live view. */
  constructor(
    options: SessionsOptions,
    pops: readonly PopPlan[] = [],
    routeTo: () => PopPlan | undefined = () => undefined,
  ) {
    this.#options = options;
    this.#pops = pops;
    this.#routeTo = routeTo;
  }

  /** When all clients ran, on their clock; 0 before. */
  get beganAtMs(): number {
    return this.#beganAtMs;
  }

  /**
   * Starts every client and returns when all are under way.
   * @throws LabError `ERR_LAB_CLIENTS` when a session fails although nothing has happened to it.
   */
  async begin(venue: Venue): Promise<void> {
    const { observer, clients, scenario } = this.#options;
    observer.step('starting the clients');
    this.#ticker = setInterval(() => this.tell(), TICK_MS);
    // The silent ones wait as long as it takes; the time of all others runs from their start.
    await this.#start(venue, 'idle');
    await this.#untilUnderWay();
    for (const kind of SESSION_KINDS) {
      if (kind !== 'idle' && (clients[kind] ?? 0) > 0) await this.#start(venue, kind);
    }
    await this.#untilUnderWay();
    // Under a split, connections may fail from the first packet on: that is a result.
    if (scenario.before.length === 0) this.#requireAll();
    this.#beganAtMs = monotonicMs();
    const { sessions } = this.ledger;
    const running = sessions.filter((session) => session.end === undefined).length;
    const all = running === sessions.length ? 'all' : `${running} of`;
    observer.event(0, `${all} ${sessions.length} sessions run`);
  }

  /** Waits for every session's end, its stall or the end of all patience. */
  async end(): Promise<void> {
    await this.#letSpeak();
    const { durationMs, signal } = this.#options;
    const patienceMs = this.#rampMs + this.#stallMs + LAST_WORDS_MS;
    const deadline = this.#beganAtMs + durationMs + patienceMs;
    while (!this.ledger.allEnded && monotonicMs() < deadline) {
      await sleep(20, undefined, { signal });
    }
    this.ledger.giveUp(monotonicMs());
  }

  /** Ends what still runs. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    const all = together(this.#runs);
    all.stop();
    await all.finished;
  }

  /** Tells the observer what is new. */
  tell(): void {
    const { observer, durationMs } = this.#options;
    const began = this.#beganAtMs;
    const since = (atMs: number) => (began === 0 ? 0 : Math.max(0, atMs - began));
    const { sessions } = this.ledger;
    for (const { atMs, text } of this.#endings.news(sessions)) observer.event(since(atMs), text);
    const routeTo = this.#routeTo();
    const elapsedMs = since(monotonicMs());
    observer.tick({ elapsedMs, durationMs, pops: this.#pops, routeTo, sessions });
  }

  get #stallMs(): number {
    return this.#options.stallMs ?? this.#options.scenario.stallMs;
  }

  get #rampMs(): number {
    const { rampMs, clients } = this.#options;
    const { download = 0, upload = 0, websocket = 0, sse = 0, keepalive = 0 } = clients;
    const transfers = Math.max(0, download + upload - 20);
    const streams = Math.max(0, websocket + sse + keepalive - 50);
    return rampMs ?? RAMP_MS + transfers * RAMP_EACH_TRANSFER_MS + streams * RAMP_EACH_STREAM_MS;
  }

  async #start(venue: Venue, kind: SessionKind): Promise<void> {
    const { clients, scenario, seed, durationMs, transferBytes, everyMs } = this.#options;
    const sessions = clients[kind] ?? 0;
    if (sessions === 0) return;
    const run = await clientDrivers[kind].start(
      {
        ...venue,
        seed,
        durationMs: durationMs + this.#rampMs,
        stallMs: this.#stallMs,
        transferBytes: transferBytes ?? scenario.transferBytes,
        everyMs: everyMs ?? scenario.everyMs,
        expect: (names) => this.ledger.expect(kind, names),
        report: (event) => this.ledger.accept(event),
      },
      sessions,
    );
    this.#runs.push(run);
  }

  async #untilUnderWay(): Promise<void> {
    const { ledger } = this;
    const timeoutMs = START_TIMEOUT_MS + this.#rampMs + START_EACH_MS * ledger.sessions.length;
    const deadline = monotonicMs() + timeoutMs;
    while (!ledger.allUnderWay && monotonicMs() < deadline) {
      await sleep(20, undefined, { signal: this.#options.signal });
    }
  }

  #requireAll(): void {
    const { sessions } = this.ledger;
    const failed = sessions.filter((s) => s.startedAtMs === undefined || s.end !== undefined);
    const [example] = failed;
    if (example === undefined) return;
    throw new LabError(
      `${failed.length} of ${sessions.length} sessions failed before anything happened, such as ${example.name}: ${example.end?.detail ?? 'not begun in time'}`,
      'ERR_LAB_CLIENTS',
    );
  }

  /** Silent sessions speak in the middle of the quiet end of a run. */
  async #letSpeak(): Promise<void> {
    const { durationMs, scenario, observer, signal } = this.#options;
    const silent = this.#runs.filter((run) => run.speak !== undefined);
    if (this.ledger.allEnded || silent.length === 0) return;
    const atMs = this.#beganAtMs + durationMs - scenario.tailMs / 2;
    await sleep(Math.max(0, atMs - monotonicMs()), undefined, { signal });
    observer.event(monotonicMs() - this.#beganAtMs, 'the silent sessions are asked to speak');
    for (const run of silent) run.speak?.();
  }
}
