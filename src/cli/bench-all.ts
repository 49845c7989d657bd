/** `holdfast bench all`: the micro benchmarks one after the other, in one report. */
import type { Command } from 'commander';
import { stepsOf as datapathSteps, runDatapathBench } from '../../bench/datapath/bench.ts';
import { skipReason } from '../../bench/datapath/namespace.ts';
import * as datapath from '../../bench/datapath/scenarios/registry.ts';
import { contenders } from '../../bench/edge/contenders/registry.ts';
import { stepsOf as edgeSteps, runEdgeBench } from '../../bench/edge/run.ts';
import * as edge from '../../bench/edge/scenarios/registry.ts';
import {
  homesFullSize,
  homesQuickSize,
  homesSteps,
  runHomesBench,
} from '../../bench/homes/bench.ts';
import { type BenchReport, enveloped, type Measured } from '../../bench/measure/bench-report.ts';
import { ConsoleProgress, type Progress } from '../../bench/measure/progress.ts';
import { meshSteps, runMeshBench } from '../../bench/mesh/run.ts';
import { meshFullSize, meshQuickSize } from '../../bench/mesh/size.ts';
import { HoldfastError } from '../errors.ts';
import { version } from '../version.ts';
import { benchCommand, stoppable, typedCommand } from './bench-command.ts';
import { type OutputFlags, outputOptions, publishBench } from './bench-output.ts';
import { exitCodes } from './exit.ts';

/** One of the benchmarks, in full or quick. */
interface Part {
  readonly name: string;
  readonly steps: number;
  /** Why it cannot run here. */
  readonly missing?: string | undefined;
  run(progress: Progress, signal: AbortSignal): Promise<Measured>;
}

function parts(quick: boolean): Part[] {
  const edgePlan = {
    scenarios: edge.scenarios,
    contenders,
    size: quick ? edge.quickSize : edge.fullSize,
  };
  const datapathPlan = {
    scenarios: datapath.scenarios,
    size: quick ? datapath.quickSize : datapath.fullSize,
  };
  const meshPlan = { size: quick ? meshQuickSize : meshFullSize };
  const homesPlan = { size: quick ? homesQuickSize : homesFullSize };
  return [
    {
      name: 'edge',
      steps: edgeSteps(edgePlan),
      run: (progress, signal) => runEdgeBench({ ...edgePlan, progress, signal }),
    },
    {
      name: 'mesh',
      steps: meshSteps(meshPlan),
      run: (progress, signal) => runMeshBench({ ...meshPlan, progress, signal }),
    },
    {
      name: 'homes',
      steps: homesSteps(homesPlan),
      run: (progress, signal) => runHomesBench({ ...homesPlan, progress, signal }),
    },
    {
      name: 'datapath',
      steps: datapathSteps(datapathPlan),
      missing: skipReason() || undefined,
      run: (progress, signal) => runDatapathBench({ ...datapathPlan, progress, signal }),
    },
  ];
}

/** Adds `holdfast bench all`. */
export function registerBenchAll(program: Command): void {
  const all = benchCommand(program)
    .command('all')
    .description('edge, mesh, homes and datapath, one after the other, in one report')
    .option('--quick', 'fewer and smaller measurements');
  outputOptions(all).action(runAll);
}

async function runAll(flags: OutputFlags & { quick?: boolean }): Promise<void> {
  const list = parts(flags.quick === true);
  for (const { name, missing } of list) {
    if (missing !== undefined) process.stderr.write(`bench: without ${name}: ${missing}\n`);
  }
  const runnable = list.filter(({ missing }) => missing === undefined);
  const progress = new ConsoleProgress(runnable.reduce((sum, { steps }) => sum + steps, 0));
  const reports: BenchReport[] = [];
  let lacking = false;
  try {
    await stoppable(async (signal) => {
      for await (const done of measureAll(runnable, progress, signal)) {
        if ('measured' in done) {
          reports.push(enveloped(done.measured, typedCommand(), versionsOf(done.measured)));
          continue;
        }
        lacking = true;
        process.stderr.write(`bench: without ${done.name}: ${done.failure}\n`);
      }
    });
  } finally {
    // What was measured until then is worth keeping, whatever ended it.
    progress.close();
    if (reports.length > 0) await publishBench(reports, flags);
  }
  if (lacking) process.exitCode = exitCodes.runtime;
}

/** One after the other; one that cannot be carried out costs the others nothing. Ends with `signal`. */
export async function* measureAll(
  list: readonly Part[],
  progress: Progress,
  signal: AbortSignal,
): AsyncGenerator<{ name: string; measured: Measured } | { name: string; failure: string }> {
  for (const { name, run } of list) {
    signal.throwIfAborted();
    try {
      yield { name, measured: await run(progress, signal) };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HoldfastError)) throw error;
      yield { name, failure: error.message };
    }
  }
}

/** Holdfast's, and those of the contenders where a benchmark names them. */
export function versionsOf(measured: Measured): Record<string, string> {
  const { contenders: named } = measured as { contenders?: { name: string; version: string }[] };
  const others = (named ?? []).map(({ name, version: text }) => [name, text] as const);
  return { ...Object.fromEntries(others), holdfast: version() };
}
