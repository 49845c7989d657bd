/** `holdfast bench`: how much CPU and memory traffic costs, beside other proxies. */
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { contenders } from '../../bench/edge/contenders/registry.ts';
import { reportText } from '../../bench/edge/report.ts';
import { runEdgeBench, stepsOf } from '../../bench/edge/run.ts';
import { fullSize, quickSize, scenarios } from '../../bench/edge/scenarios/registry.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { benchCommand, stoppable } from './bench-command.ts';
import { registerBenchScale } from './bench-scale.ts';
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

/** Adds `holdfast bench edge` and `bench scale`. */
export function registerBench(program: Command): void {
  registerBenchScale(program);
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
