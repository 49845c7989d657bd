/** Where a worker's access log goes: changed and reopened while it runs. */
import type { Config } from '../config/schema.ts';
import { LineWriter } from './line-writer.ts';

export class AccessLogTarget {
  #setting: Config['accessLog'];
  #writer: LineWriter | undefined;
  #droppedBefore = 0;

  /** Throws the system's error when a file cannot be opened. */
  constructor(setting: Config['accessLog']) {
    this.#setting = setting;
    this.#writer = open(setting);
  }

  /** Lines lost because a reader was too slow or the disk was full. */
  get droppedLines(): number {
    return this.#droppedBefore + (this.#writer?.droppedLines ?? 0);
  }

  /** Takes one whole line. */
  write(line: string): void {
    this.#writer?.write(line);
  }

  /**
   * Opens another place, to be switched to with `commit`. Throws the system's error when it cannot
   * be opened; nothing is changed then, nor after `abort`.
   */
  prepare(setting: Config['accessLog']): { commit(): Promise<void>; abort(): Promise<void> } {
    if (JSON.stringify(setting) === JSON.stringify(this.#setting)) {
      return { commit: async () => undefined, abort: async () => undefined };
    }
    const next = open(setting);
    return {
      commit: async () => {
        const previous = this.#writer;
        this.#writer = next;
        this.#setting = setting;
        await previous?.close();
        this.#droppedBefore += previous?.droppedLines ?? 0;
      },
      abort: async () => next?.close(),
    };
  }

  /** Opens a file anew, after logrotate has moved it. */
  reopen(): void {
    this.#writer?.reopen();
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }

  flushSync(): void {
    this.#writer?.flushSync();
  }
}

function open(setting: Config['accessLog']): LineWriter | undefined {
  if (setting === 'off') return undefined;
  return new LineWriter(setting === 'stdout' ? 1 : setting.file);
}
