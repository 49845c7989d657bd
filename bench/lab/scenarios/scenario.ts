/** A scenario is data: who talks, what happens when, what must come out. */
import type { ClientMix } from '../clients/event.ts';

/** One thing that happens to the network. */
export type ScenarioAction =
  /** The route moves: to the next PoP in the order of preference, or back to the best one. */
  { readonly type: 'flip'; readonly to: 'next' | 'best' };

export interface ScenarioStep {
  /** Counted from the moment when all clients run. */
  readonly atMs: number;
  /** Repeats the step with this period until `tailMs` before the end. */
  readonly everyMs?: number;
  readonly action: ScenarioAction;
}

export interface Scenario {
  readonly name: string;
  /** One line for lists. */
  readonly about: string;
  /** Default length, from the moment when all clients run to the end of the last session. */
  readonly durationMs: number;
  /** Nothing happens in the last part, so that the effect of the last step can be seen. */
  readonly tailMs: number;
  readonly steps: readonly ScenarioStep[];
  readonly clients: ClientMix;
  /** Which sessions must survive: all of them always, or only when healing is on. */
  readonly survive: 'always' | 'with-healing';
}

export interface TimedAction {
  readonly atMs: number;
  readonly action: ScenarioAction;
}

const ACTIONS_MAX = 100_000;

/** The steps of a scenario in order of time, repetitions written out, for a run of `durationMs`. */
export function timeline(scenario: Scenario, durationMs: number): TimedAction[] {
  const lastMs = durationMs - scenario.tailMs;
  const actions = scenario.steps.flatMap(({ atMs, everyMs, action }): TimedAction[] => {
    if (everyMs === undefined) return atMs <= lastMs ? [{ atMs, action }] : [];
    const times = Math.min(ACTIONS_MAX, Math.max(0, Math.floor((lastMs - atMs) / everyMs) + 1));
    return Array.from({ length: times }, (_, index) => ({ atMs: atMs + index * everyMs, action }));
  });
  return actions.sort((a, b) => a.atMs - b.atMs);
}

/** The shortest run in which every step happens at least once. */
export function shortestDurationMs(scenario: Scenario): number {
  return Math.max(0, ...scenario.steps.map((step) => step.atMs)) + scenario.tailMs;
}
