/** How a client process tells the lab what happens: JSON lines on standard output. */
import { monotonicMs } from '../clock.ts';
import type { ClientEvent, SessionEnd } from './event.ts';

/** Collects what happens and writes it ten times a second, so that measuring costs little. */
export class Reporter {
  readonly #echoes = new Map<string, { atMs: number[]; rttMs: number[] }>();
  readonly #progress = new Map<string, { done: number; total: number; atMs: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(everyMs = 100) {
    this.#timer = setInterval(() => this.flush(), everyMs);
    // The lab is gone: nobody is left to report to.
    process.stdout.on('error', () => process.exit(1));
    process.stdin.on('end', () => process.exit(1)).resume();
  }

  start(session: string): void {
    this.#write({ type: 'start', session, atMs: monotonicMs() });
  }

  progress(session: string, done: number, total: number): void {
    this.#progress.set(session, { done, total, atMs: monotonicMs() });
  }

  echo(session: string, atMs: number, rttMs: number): void {
    let echoes = this.#echoes.get(session);
    if (echoes === undefined) {
      echoes = { atMs: [], rttMs: [] };
      this.#echoes.set(session, echoes);
    }
    echoes.atMs.push(Number(atMs.toFixed(3)));
    echoes.rttMs.push(Number(rttMs.toFixed(3)));
  }

  /** A lost connection was replaced by one that was served. */
  reconnect(session: string, lostAtMs: number, servedAtMs: number, resumed: boolean): void {
    this.#write({ type: 'reconnect', session, atMs: servedAtMs, lostAtMs, resumed });
  }

  end(session: string, how: SessionEnd, detail: string): void {
    this.flush();
    this.#write({ type: 'end', session, atMs: monotonicMs(), how, detail });
  }

  flush(): void {
    for (const [session, { atMs, rttMs }] of this.#echoes) {
      this.#write({ type: 'echoes', session, atMs, rttMs });
    }
    for (const [session, state] of this.#progress) {
      this.#write({ type: 'progress', session, ...state });
    }
    this.#echoes.clear();
    this.#progress.clear();
  }

  /** Writes what is left; the process may then end. */
  close(): void {
    clearInterval(this.#timer);
    this.flush();
    process.stdin.destroy();
  }

  #write(event: ClientEvent): void {
    process.stdout.write(`${JSON.stringify(event)}\n`);
  }
}
