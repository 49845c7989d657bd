/** `holdfast bench datapath`: what healing costs, against plain routing of the same kernel. */
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { runDatapathBench, stepsOf } from '../../bench/datapath/bench.ts';
import { reportText } from '../../bench/datapath/report.ts';
import { fullSize, quickSize, scenarios } from '../../bench/datapath/scenarios/registry.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { benchCommand, stoppable } from './bench-command.ts';
import { columns } from './table.ts';

interface DatapathFlags {
  only?: readonly string[];
  rounds?: number;
  quick?: boolean;
  json?: string;
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
  benchCommand(program)
    .command('datapath')
    .description('relayed and unswitched traffic, floods, maps, idle flows; in namespaces, as root')
    .addOption(new Option('--only <scenarios>', names.join(', ')).argParser(namesOf))
    .option('--rounds <n>', 'measurements of each contender in each scenario', roundsOf)
    .option('--quick', 'fewer and shorter measurements')
    .option('--json <file>', 'also write the result as JSON; - for standard output')
    .action(datapath);
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
  const text = `${JSON.stringify(report, null, 2)}\n`;
  const table = reportText(report, (rows, right) => columns(rows, { indent: 2, right }));
  (flags.json === '-' ? process.stderr : process.stdout).write(table);
  if (flags.json === '-') process.stdout.write(text);
  else if (flags.json !== undefined) await writeFile(flags.json, text);
}
