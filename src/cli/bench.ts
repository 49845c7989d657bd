/** `holdfast bench`: how much CPU and memory traffic costs, beside other proxies. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { contenders } from '../../bench/edge/contenders/registry.ts';
import { runEdgeBench, stepsOf } from '../../bench/edge/run.ts';
import { fullSize, quickSize, scenarios } from '../../bench/edge/scenarios/registry.ts';
import { enveloped } from '../../bench/measure/bench-report.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { registerBenchAll, versionsOf } from './bench-all.ts';
import { benchCommand, stoppable, typedCommand } from './bench-command.ts';
import { registerBenchDatapath } from './bench-datapath.ts';
import { type OutputFlags, outputOptions, publishBench } from './bench-output.ts';
import { registerBenchScale } from './bench-scale.ts';

interface EdgeFlags extends OutputFlags {
  only?: readonly string[];
  contenders?: readonly string[];
  rounds?: number;
  quick?: boolean;
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

/** Adds every `holdfast bench` but those of the mesh and of route changes. */
export function registerBench(program: Command): void {
  registerBenchDatapath(program);
  registerBenchScale(program);
  registerBenchAll(program);
  const command = benchCommand(program)
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
    .option('--quick', 'fewer and smaller measurements');
  outputOptions(command).action(edge);
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
  await publishBench([enveloped(report, typedCommand(), versionsOf(report))], flags);
}
