/** `holdfast bench`: how much CPU and memory traffic costs, beside other proxies. */
import { writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { contenders } from '../../bench/edge/contenders/registry.ts';
import { reportText } from '../../bench/edge/report.ts';
import { runEdgeBench, stepsOf } from '../../bench/edge/run.ts';
import { fullSize, quickSize, scenarios } from '../../bench/edge/scenarios/registry.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { ExitError } from './exit.ts';
import { columns } from './table.ts';

interface EdgeFlags {
  only?: readonly string[];
  contenders?: readonly string[];
  rounds?: number;
  quick?: boolean;
  json?: string;
}

/** Names, separated by commas, each of which must be known. */
function namesOf(known: readonly { readonly name: string }[]) {
  return (text: string): string[] => {
    const names = text.split(',').map((name) => name.trim());
    const wrong = names.find((name) => !known.some((one) => one.name === name));
    if (wrong === undefined) return names;
    const all = known.map((one) => one.name).join(', ');
    throw new InvalidArgumentError(`There is no "${wrong}"; there are: ${all}.`);
  };
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= 1_000) return rounds;
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
}

/** The command that groups benchmarks, made by whoever registers first. */
function benchCommand(program: Command): Command {
  const known = program.commands.find((command) => command.name() === 'bench');
  return known ?? program.command('bench').description('benchmarks');
}

/** Adds `holdfast bench edge`. */
export function registerBench(program: Command): void {
  benchCommand(program)
    .command('edge')
    .description('CPU per request and memory per WebSocket, beside nginx, HAProxy and npm proxies')
    .addOption(
      new Option('--only <scenarios>', scenarios.map(({ name }) => name).join(', ')).argParser(
        namesOf(scenarios),
      ),
    )
    .addOption(
      new Option('--contenders <names>', contenders.map(({ name }) => name).join(', ')).argParser(
        namesOf(contenders),
      ),
    )
    .option('--rounds <n>', 'measurements of each contender in each scenario', roundsOf)
    .option('--quick', 'fewer and smaller measurements')
    .option('--json <file>', 'also write the result as JSON; - for standard output')
    .action(edge);
}

async function edge(flags: EdgeFlags): Promise<void> {
  const standard = flags.quick === true ? quickSize : fullSize;
  const { rounds } = flags;
  const plan = {
    scenarios: scenarios.filter(({ name }) => flags.only?.includes(name) ?? true),
    contenders: contenders.filter(({ name }) => flags.contenders?.includes(name) ?? true),
    size: rounds === undefined ? standard : { ...standard, rounds, freshRounds: rounds },
  };
  const progress = new ConsoleProgress(stepsOf(plan));
  const report = await stoppable((signal) => runEdgeBench({ ...plan, progress, signal })).finally(
    () => progress.close(),
  );
  const text = `${JSON.stringify(report, null, 2)}\n`;
  // The table for people and JSON for programs never share a stream.
  const table = reportText(report, (rows, right) => columns(rows, { indent: 2, right }));
  (flags.json === '-' ? process.stderr : process.stdout).write(table);
  if (flags.json === '-') process.stdout.write(text);
  else if (flags.json !== undefined) await writeFile(flags.json, text);
}

/** Ctrl-C and TERM stop the work, not the clean-up; the exit code is then 128 + the signal's number. */
async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
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
