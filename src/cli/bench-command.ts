/** What all benchmarks of the command line share. */
import { constants } from 'node:os';
import type { Command } from 'commander';
import { BenchError } from '../../bench/measure/errors.ts';
import { ExitError } from './exit.ts';

/** The command that groups benchmarks, made by whoever registers first. */
export function benchCommand(program: Command): Command {
  const known = program.commands.find((command) => command.name() === 'bench');
  return known ?? program.command('bench').description('benchmarks');
}

/** What was typed, from `holdfast` on; words that a shell would take apart are quoted. */
export function typedCommand(argv: readonly string[] = process.argv.slice(2)): string {
  const quoted = argv.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  );
  return ['holdfast', ...quoted].join(' ');
}

/** Ctrl-C and TERM stop the work, not the clean-up; the exit code is then 128 + the signal's number. */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let stoppedBy: NodeJS.Signals | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    stoppedBy ??= name;
    controller.abort(new BenchError(`stopped by ${name}`, 'ERR_BENCH_INTERRUPTED'));
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, onSignal);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (stoppedBy === undefined) throw error;
    throw new ExitError(128 + constants.signals[stoppedBy], `stopped by ${stoppedBy}`);
  } finally {
    for (const name of signals) process.removeListener(name, onSignal);
  }
}
