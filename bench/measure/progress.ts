/** Tells on standard error how far a benchmark is and how long it will take. */
import { remainingMs } from './rounds.ts';

export interface Progress {
  /** What happens now. */
  step(text: string): void;
  /** One of the steps announced is done. */
  done(): void;
  /** Leaves the stream ready for other output. */
  close(): void;
}

export class ConsoleProgress implements Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #steps: number;
  readonly #startedMs = performance.now();
  #done = 0;
  #text = '';
  #printed = '';

  /** @param steps How often `done` will be called. */
  constructor(steps: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#steps = steps;
    this.#stream = stream;
  }

  step(text: string): void {
    this.#text = text;
    this.#draw();
  }

  done(): void {
    this.#done += 1;
    this.#draw();
  }

  close(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
  }

  #draw(): void {
    if (this.#stream.isTTY) {
      const left = remainingMs(this.#done, this.#steps, performance.now() - this.#startedMs);
      const time = left === undefined ? '' : ` · ${clock(left)} left`;
      const columns = Math.max(20, this.#stream.columns ?? 80);
      const line = `${this.#done}/${this.#steps}${time} · ${this.#text}`;
      this.#stream.write(`\r${line.slice(0, columns - 1)}\x1b[K`);
    } else if (this.#text !== this.#printed) {
      // In a log, one line for each new thing is enough.
      this.#printed = this.#text;
      this.#stream.write(`bench: ${this.#text} (${this.#done} of ${this.#steps} steps done)\n`);
    }
  }
}

/** `1:05` */
function clock(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export const silentProgress: Progress = { step() {}, done() {}, close() {} };
