/** Shows a run while it goes on: redrawn in place on a terminal, line by line elsewhere. */
import type { RunObserver, RunView } from '../observer.ts';
import { frame } from './frame.ts';
import { seconds } from './text.ts';

/** A {@link RunObserver} that must be closed before anything else is printed. */
export interface Console extends RunObserver {
  /** A new run begins; `title` says which. */
  begin(title: string): void;
  /** A line that stays in view when the next run begins. */
  note(text: string): void;
  /** Leaves the last state on the screen. */
  close(): void;
}

/** The live view when standard output is a terminal, otherwise a log on standard error. */
export function openConsole(title: string): Console {
  return process.stdout.isTTY
    ? new LiveConsole(process.stdout, title)
    : new LogConsole(process.stderr, title);
}

const EVENTS_MAX = 32;
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';

/** Redraws a few lines in place. */
class LiveConsole implements Console {
  readonly #stream: NodeJS.WriteStream;
  readonly #sinceMs = performance.now();
  readonly #showCursor = () => this.#stream.write(SHOW_CURSOR);
  #title: string;
  #step = '';
  #view: RunView | undefined;
  #events: { atMs: number; text: string }[] = [];
  readonly #notes: string[] = [];
  #drawn = 0;
  #closed = false;

  constructor(stream: NodeJS.WriteStream, title: string) {
    this.#stream = stream;
    this.#title = title;
    stream.write(HIDE_CURSOR);
    // Also when the process ends in a way that nobody foresaw.
    process.once('exit', this.#showCursor);
  }

  begin(title: string): void {
    this.#title = title;
    this.#view = undefined;
    this.#events = [];
    this.#draw();
  }

  step(text: string): void {
    this.#step = text;
    this.#draw();
  }

  tick(view: RunView): void {
    this.#view = view;
    this.#draw();
  }

  event(atMs: number, text: string): void {
    this.#events.push({ atMs, text });
    this.#events = this.#events.sort((a, b) => a.atMs - b.atMs).slice(-EVENTS_MAX);
    this.#draw();
  }

  note(text: string): void {
    this.#notes.push(text);
    this.#draw();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    process.removeListener('exit', this.#showCursor);
    this.#stream.write(SHOW_CURSOR);
  }

  #draw(): void {
    if (this.#closed) return;
    const columns = Math.max(20, (this.#stream.columns ?? 80) - 1);
    const rows = Math.max(8, this.#stream.rows ?? 24);
    const content = {
      title: this.#title,
      sinceMs: performance.now() - this.#sinceMs,
      step: this.#step,
      notes: this.#notes,
      view: this.#view,
      events: this.#events,
    };
    const lines = frame(content, columns, rows).slice(0, rows - 1);
    const back = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A`;
    this.#stream.write(`${back}${lines.map((line) => `\r${line}\x1b[K\n`).join('')}\x1b[J`);
    this.#drawn = lines.length;
  }
}

const SUMMARY_EVERY_MS = 2_000;

/** One line for whatever happens, with the time since the command began. */
class LogConsole implements Console {
  readonly #stream: NodeJS.WriteStream;
  readonly #sinceMs = performance.now();
  #title: string;
  #toldAtMs = 0;

  constructor(stream: NodeJS.WriteStream, title: string) {
    this.#stream = stream;
    this.#title = title;
  }

  begin(title: string): void {
    this.#title = title;
    this.#line(this.#title);
  }

  step(text: string): void {
    this.#line(text);
  }

  tick(view: RunView): void {
    const nowMs = performance.now();
    const running = view.sessions.filter((session) => session.end === undefined).length;
    if (nowMs - this.#toldAtMs < SUMMARY_EVERY_MS || running === 0 || view.elapsedMs === 0) return;
    this.#toldAtMs = nowMs;
    const at = `${seconds(view.elapsedMs)} of ${seconds(view.durationMs)} s`;
    this.#line(
      `${at}: ${running} of ${view.sessions.length} sessions run, route to ${view.routeTo?.name ?? 'nobody'}`,
    );
  }

  event(atMs: number, text: string): void {
    this.#line(`at ${seconds(atMs, 3)} s: ${text}`);
  }

  note(text: string): void {
    this.#line(text);
  }

  close(): void {}

  #line(text: string): void {
    const time = seconds(performance.now() - this.#sinceMs);
    this.#stream.write(`[${time.padStart(6)} s] ${text}\n`);
  }
}
