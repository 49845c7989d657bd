/** A scenario measures one thing of one contender at a time. */
import type { Sample, Target } from '../../measure/report.ts';
import type { RunningContender, Stage } from '../stage.ts';

/** How much is measured. */
export interface BenchSize {
  readonly rounds: number;
  /** Rounds of scenarios that start each contender anew. */
  readonly freshRounds: number;
  /** One measurement under load. Whole seconds. */
  readonly seconds: number;
  /** Load before the first measurement, so that engines have compiled what they will run. */
  readonly warmUpSeconds: number;
  /** Idle tunnels aimed at; fewer where the limit of open files does not allow them. */
  readonly idleTunnels: number;
  /** For tests: a measurement ends after this many requests. */
  readonly requestsMax?: number;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  readonly tunnels: boolean;
  /** Every measurement begins with a contender that has just started. */
  readonly fresh: boolean;
  readonly bases: readonly string[];
  readonly targets: readonly Target[];
  /** Tunnels that a contender must be able to carry. */
  tunnelsMax(size: BenchSize): number;
  /** Program and arguments of the origin, whose files go to `directory`. */
  origin(directory: string, port: number): Promise<readonly string[]>;
  /** Load that is not measured. */
  warmUp(stage: Stage, running: RunningContender): Promise<void>;
  measure(stage: Stage, running: RunningContender): Promise<Sample>;
}
