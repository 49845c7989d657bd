/** What a run shows to those who watch it. */
import type { SessionRecord } from './measure/ledger.ts';
import type { Progress } from './progress.ts';
import type { PopPlan } from './topology.ts';

/** The state of a run at one moment. */
export interface RunView {
  readonly elapsedMs: number;
  readonly durationMs: number;
  readonly pops: readonly PopPlan[];
  /** Where the router sends the VIP's packets; `undefined` when it has no route. */
  readonly routeTo: PopPlan | undefined;
  readonly sessions: readonly SessionRecord[];
}

export interface RunObserver extends Progress {
  /** Several times a second. */
  tick(view: RunView): void;
  /** Something happened, `atMs` after the moment when all clients ran. */
  event(atMs: number, text: string): void;
}
