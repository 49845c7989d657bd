/** What the main thread and its workers say to each other. */
import type { TrialResult } from '../../src/sync/sim/trial.ts';

export interface BatchOrder {
  readonly nodes: number;
  readonly seeds: readonly number[];
  readonly loss: number | undefined;
  readonly tickets: boolean;
}

export interface BatchAnswer {
  readonly results: readonly TrialResult[];
}
