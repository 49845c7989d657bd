/** `holdfast bench mesh` and `bench homes`: the mesh whole, and its directory in parts. */
import { type Command, InvalidArgumentError } from 'commander';
import {
  homesFullSize,
  homesQuickSize,
  homesScenarios,
  homesSteps,
  runHomesBench,
} from '../../bench/homes/bench.ts';
import { enveloped } from '../../bench/measure/bench-report.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { measurementNames, meshSteps, runMeshBench } from '../../bench/mesh/run.ts';
import { meshFullSize, meshQuickSize } from '../../bench/mesh/size.ts';
import { version } from '../version.ts';
import { benchCommand, stoppable, typedCommand } from './bench-command.ts';
import { type OutputFlags, outputOptions, publishBench } from './bench-output.ts';

interface PartFlags extends OutputFlags {
  only?: readonly string[];
  quick?: boolean;
}

function namesOf(known: readonly string[]) {
  return (text: string): string[] => {
    const names = text.split(',').map((name) => name.trim());
    const wrong = names.find((name) => !known.includes(name));
    if (wrong === undefined) return names;
    throw new InvalidArgumentError(`There is no "${wrong}"; there are: ${known.join(', ')}.`);
  };
}

/** Adds `holdfast bench mesh` and `bench homes`. */
export function registerBenchMesh(program: Command): void {
  const bench = benchCommand(program);
  const mesh = bench
    .command('mesh')
    .description('flow tickets between real processes; detection, rumours and stalls simulated')
    .option('--only <names>', measurementNames.join(', '), namesOf(measurementNames))
    .option('--quick', 'fewer and smaller measurements');
  outputOptions(mesh).action(async (flags: PartFlags) => {
    const size = flags.quick === true ? meshQuickSize : meshFullSize;
    const plan = { size, only: flags.only };
    const progress = new ConsoleProgress(meshSteps(plan));
    const measured = await stoppable((signal) =>
      runMeshBench({ ...plan, progress, signal }),
    ).finally(() => progress.close());
    await publishBench([enveloped(measured, typedCommand(), { holdfast: version() })], flags);
  });
  const homes = bench
    .command('homes')
    .description('the flow-ticket directory in parts: table of homes, memory, stream, refill')
    .option('--only <names>', homesScenarios.join(', '), namesOf(homesScenarios))
    .option('--quick', 'fewer and smaller measurements');
  outputOptions(homes).action(async (flags: PartFlags) => {
    const size = flags.quick === true ? homesQuickSize : homesFullSize;
    const plan = { size, only: flags.only };
    const progress = new ConsoleProgress(homesSteps(plan));
    const measured = await stoppable((signal) =>
      runHomesBench({ ...plan, progress, signal }),
    ).finally(() => progress.close());
    await publishBench([enveloped(measured, typedCommand(), { holdfast: version() })], flags);
  });
}
