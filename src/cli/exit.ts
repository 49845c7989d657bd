/** How a command ends: exit codes and what is said about a failure. */
import { CommanderError } from 'commander';
import { ConfigError, formatProblem } from '../config/problem.ts';
import { HoldfastError } from '../errors.ts';

/** Stable: scripts may rely on them. */
export const exitCodes = {
  ok: 0,
  /** Something went wrong while running. */
  runtime: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** The configuration is invalid. */
  config: 3,
  /** The daemon does not answer. */
  unreachable: 4,
  /** The daemon runs, but something is not as it should be. */
  degraded: 5,
} as const;

/** Ends a command with a code and a text for stderr. */
export class ExitError extends HoldfastError {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message, { code: 'ERR_COMMAND', source: 'usage', retryable: false });
    this.exitCode = exitCode;
  }
}

/** Says what went wrong on stderr and gives the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has already said it, or it was --help or --version.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  if (error instanceof ConfigError) {
    for (const problem of error.problems) say(formatProblem(problem));
    const count = error.problems.length;
    say(`holdfast: the configuration is invalid (${count} ${count === 1 ? 'error' : 'errors'})`);
    const onlyFlags = error.problems.every(({ file }) => /^(--|HOLDFAST_)/.test(file));
    return onlyFlags ? exitCodes.usage : exitCodes.config;
  }
  if (error instanceof ExitError) {
    say(`holdfast: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof HoldfastError) {
    say(`holdfast: ${error.message}`);
    return exitCodes.runtime;
  }
  say(`holdfast: ${error instanceof Error ? error.stack : String(error)}`);
  return exitCodes.runtime;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
