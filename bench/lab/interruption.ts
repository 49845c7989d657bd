/** Ctrl-C and TERM stop the work, not the clean-up. */
import { constants } from 'node:os';
import { LabError } from './errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A terminal and a parent process may both deliver the same Ctrl-C: what comes this soon after the
 * first is the same wish, not a second one.
 */
const SAME_WISH_MS = 1_000;

/** Thrown out of {@link interruptible} by a signal, after the work has cleaned up. */
export class Interrupted extends LabError {
  /** 128 and the signal's number, as shells have it. */
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`, 'ERR_LAB_INTERRUPTED');
    this.exitCode = 128 + (constants.signals[signal] ?? 0);
  }
}

/**
 * Runs `work` with a signal that aborts on SIGINT, SIGTERM or SIGHUP; its reason is an
 * {@link Interrupted}. A further signal ends the process at once, without clean-up.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let firstAtMs: number | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (firstAtMs === undefined) {
      firstAtMs = performance.now();
      controller.abort(new Interrupted(name));
      return;
    }
    if (performance.now() - firstAtMs < SAME_WISH_MS) return;
    process.stderr.write('holdfast: not cleaned up; "holdfast lab down" removes what is left\n');
    process.exit(128 + (constants.signals[name] ?? 0));
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of SIGNALS) process.removeListener(name, onSignal);
  }
}
