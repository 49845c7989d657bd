/** A scenario of the datapath's benchmark, and how contenders take turns in it. */
import type { CpuShares } from '../../measure/cpu-list.ts';
import type { BenchProcesses } from '../../measure/processes.ts';
import type { Progress } from '../../measure/progress.ts';
import type { Sample, ScenarioRun } from '../../measure/report.ts';
import { orderOfRound } from '../../measure/rounds.ts';

/** How much is measured. */
export interface DatapathSize {
  readonly rounds: number;
  /** One measurement of relayed traffic. */
  readonly sliceMs: number;
  /** One measurement of nginx, whole seconds. */
  readonly seconds: number;
  /** The same load before the first measurement, until the agent's code is compiled. */
  readonly warmUpSeconds: number;
  /** For tests: wrk ends after this many requests. */
  readonly requestsMax?: number;
  readonly tickets: number;
  readonly events: number;
  readonly idleFlows: number;
  readonly idleMs: number;
  readonly packetsPerS: number;
  readonly floodPacketsPerS: number;
}

/** What a scenario gets. */
export interface Work {
  readonly size: DatapathSize;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Everything started here is stopped at the end. */
  readonly processes: BenchProcesses;
  /** `undefined`: all share what there is. */
  readonly cpus: CpuShares | undefined;
  /** For files; removed at the end. */
  readonly directory: string;
}

export interface DatapathScenario {
  readonly name: string;
  /** Programs that it needs, with the Debian packages that bring them. */
  readonly programs: Readonly<Record<string, string>>;
  /** How often `progress.done` is called. */
  steps(size: DatapathSize): number;
  /** One or more tables. Leaves nothing behind, also when it fails. */
  run(work: Work): Promise<ScenarioRun[]>;
}

type Contenders = ScenarioRun['contenders'];

/** Measures all names in turn, round after round. @returns what {@link ScenarioRun} wants. */
export async function alternate<Name extends string>(
  work: Work,
  title: string,
  names: readonly Name[],
  measure: (name: Name) => Promise<Sample>,
): Promise<Contenders> {
  const { rounds } = work.size;
  const samples = new Map(names.map((name) => [name, [] as Sample[]]));
  for (let round = 0; round < rounds; round++) {
    for (const name of orderOfRound(names, round)) {
      work.signal.throwIfAborted();
      work.progress.step(`${title}, round ${round + 1} of ${rounds}: ${name}`);
      samples.get(name)!.push(await measure(name));
      work.progress.done();
    }
  }
  return names.map((name) => ({ name, samples: samples.get(name)! }));
}
