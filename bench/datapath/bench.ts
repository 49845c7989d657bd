/** Runs the datapath's benchmark. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shareCpus } from '../measure/cpu-list.ts';
import { BenchError } from '../measure/errors.ts';
import { allowedCpus, describeMachine, programPath, requireProgram } from '../measure/machine.ts';
import { BenchProcesses } from '../measure/processes.ts';
import type { Progress } from '../measure/progress.ts';
import { type ScenarioResult, summarize } from '../measure/report.ts';
import { skipReason } from './namespace.ts';
import { ProgramBench } from './program-bench.ts';
import type { DatapathReport } from './report.ts';
import type { DatapathScenario, DatapathSize } from './scenarios/scenario.ts';

export interface DatapathBenchOptions {
  readonly scenarios: readonly DatapathScenario[];
  readonly size: DatapathSize;
  readonly progress: Progress;
  /** Stops everything; the run then ends with the signal's reason. */
  readonly signal: AbortSignal;
}

/** How often `progress.done` is called in a run. */
export function stepsOf({
  scenarios,
  size,
}: Pick<DatapathBenchOptions, 'scenarios' | 'size'>): number {
  return scenarios.reduce((sum, scenario) => sum + scenario.steps(size), 0);
}

/**
 * Runs the scenarios, in network namespaces of its own. Needs root. Every process it starts is
 * stopped and every file and namespace is gone at the end, also after a failure.
 * @throws BenchError when the machine lacks something, or the load fails.
 */
export async function runDatapathBench(options: DatapathBenchOptions): Promise<DatapathReport> {
  const { signal, size, progress } = options;
  const reason = skipReason();
  if (reason !== false) {
    throw new BenchError(`cannot measure here: ${reason}`, 'ERR_BENCH_PROGRAM_MISSING');
  }
  for (const { programs } of options.scenarios) {
    for (const [program, debianPackage] of Object.entries(programs)) {
      requireProgram(program, debianPackage);
    }
  }
  const cpus = programPath('taskset') === undefined ? undefined : shareCpus(allowedCpus());
  const results: ScenarioResult[] = [];
  let timed = programsAreTimed();
  for (const scenario of options.scenarios) {
    signal.throwIfAborted();
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
    const processes = new BenchProcesses();
    const onAbort = () => void processes.close();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const runs = await scenario.run({ size, progress, signal, processes, cpus, directory });
      results.push(...runs.map(summarize));
    } catch (error) {
      // Whatever failed because everything was being stopped is not the reason.
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      await processes.close();
      await rm(directory, { recursive: true, force: true });
    }
    timed ||= programsAreTimed();
  }
  return {
    bench: 'datapath',
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    method: [
      'Contenders take turns in every round; ratios compare values of one round. Shown: median (quartiles).',
      cpus === undefined
        ? 'All processes share the CPUs.'
        : `The entry’s receiving, nginx, and the agent beside it run on CPU ${cpus.measured}; load, owner and peers on CPU ${cpus.load}.`,
      ...(timed
        ? ['Another process has the kernel time eBPF programs (a lab run does): ours look dearer.']
        : []),
    ],
    scenarios: results,
  };
}

function programsAreTimed(): boolean {
  const bench = new ProgramBench([]);
  try {
    return bench.isTimed;
  } finally {
    bench.close();
  }
}
