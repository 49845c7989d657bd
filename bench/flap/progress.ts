/** Tells on standard error how far a suite is and how long it will take. */

/** What watches a suite. */
export interface SuiteProgress {
  /** `single-flip · nginx · IPv4`, and what is left to do, this run included. */
  begin(title: string, run: number, runs: number, leftMs: number): void;
  /** What happens within a run. */
  step(text: string): void;
  /** How a run ended: stays to be read. */
  done(text: string): void;
  /** Leaves the stream ready for other output. */
  close(): void;
}

export const silentSuite: SuiteProgress = { begin() {}, step() {}, done() {}, close() {} };

/** `0:07`, `12:30`, `1:02:03`; never negative. */
export function clockText(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1_000));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  if (hours === 0) return `${minutes}:${two(seconds % 60)}`;
  return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
}

/** One line that changes on a terminal; elsewhere a line for each run that is done. */
export class SuiteConsole implements SuiteProgress {
  readonly #stream: NodeJS.WriteStream;
  #title = '';
  #counted = '';
  #leftMs = 0;
  #leftAtMs = 0;
  #text = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
    if (stream.isTTY) this.#timer = setInterval(() => this.#draw(), 1_000).unref();
  }

  begin(title: string, run: number, runs: number, leftMs: number): void {
    this.#title = title;
    this.#counted = `${run}/${runs}`;
    this.#leftMs = leftMs;
    this.#leftAtMs = performance.now();
    this.#text = '';
    this.#draw();
  }

  step(text: string): void {
    this.#text = text;
    this.#draw();
  }

  done(text: string): void {
    const line = `${this.#counted} · ${this.#title}: ${text}`;
    const left = this.#stream.isTTY ? '' : ` (about ${clockText(this.#left())} left)`;
    this.#clear();
    this.#stream.write(`${line}${left}\n`);
    this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#title = '';
    this.#clear();
  }

  #left(): number {
    return Math.max(0, this.#leftMs - (performance.now() - this.#leftAtMs));
  }

  #clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
  }

  #draw(): void {
    if (!this.#stream.isTTY || this.#title === '') return;
    const what = this.#text === '' ? '' : ` · ${this.#text}`;
    const line = `${this.#counted} · ${clockText(this.#left())} left · ${this.#title}${what}`;
    const columns = Math.max(20, this.#stream.columns ?? 80);
    this.#stream.write(`\r${line.slice(0, columns - 1)}\x1b[K`);
  }
}
