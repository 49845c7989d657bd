/** `holdfast bench datapath`: what healing costs, against plain routing of the same kernel. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { runDatapathBench, stepsOf } from '../../bench/datapath/bench.ts';
import { fullSize, quickSize, scenarios } from '../../bench/datapath/scenarios/registry.ts';
import { enveloped } from '../../bench/measure/bench-report.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { version } from '../version.ts';
import { benchCommand, stoppable, typedCommand } from './bench-command.ts';
import { type OutputFlags, outputOptions, publishBench } from './bench-output.ts';

interface DatapathFlags extends OutputFlags {
  only?: readonly string[];
  rounds?: number;
  quick?: boolean;
}

const names = scenarios.map(({ name }) => name);

function namesOf(text: string): string[] {
  const wanted = text.split(',').map((name) => name.trim());
  const wrong = wanted.find((name) => !names.includes(name));
  if (wrong === undefined) return wanted;
  throw new InvalidArgumentError(`There is no "${wrong}"; there are: ${names.join(', ')}.`);
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= 1_000) return rounds;
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.');
}

/** Adds `holdfast bench datapath`. */
export function registerBenchDatapath(program: Command): void {
  const command = benchCommand(program)
    .command('datapath')
    .description('relayed and unswitched traffic, floods, maps, idle flows; in namespaces, as root')
    .addOption(new Option('--only <scenarios>', names.join(', ')).argParser(namesOf))
    .option('--rounds <n>', 'measurements of each contender in each scenario', roundsOf)
    .option('--quick', 'fewer and shorter measurements');
  outputOptions(command).action(datapath);
}

async function datapath(flags: DatapathFlags): Promise<void> {
  const standard = flags.quick === true ? quickSize : fullSize;
  const plan = {
    scenarios: scenarios.filter(({ name }) => flags.only?.includes(name) ?? true),
    size: { ...standard, rounds: flags.rounds ?? standard.rounds },
  };
  const progress = new ConsoleProgress(stepsOf(plan));
  const report = await stoppable((signal) =>
    runDatapathBench({ ...plan, progress, signal }),
  ).finally(() => progress.close());
  await publishBench([enveloped(report, typedCommand(), { holdfast: version() })], flags);
}
