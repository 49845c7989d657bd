/** Logs of the node: JSON lines on stderr, the same form from every process. */
import { type Logger, pino } from 'pino';
import { LineWriter } from './line-writer.ts';

export interface NodeLog {
  readonly log: Logger;
  /** Resolves when every line so far is written or lost. */
  close(): Promise<void>;
  /** For a process that is about to crash. */
  flushSync(): void;
}

/** @param base fields of every line. */
export function openLog(level: string, base: Record<string, string | number>): NodeLog {
  const writer = new LineWriter(2, { flushMs: 0 });
  const log = pino(
    {
      level,
      base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    writer,
  );
  return {
    log,
    close: () => writer.close(),
    flushSync: () => writer.flushSync(),
  };
}
