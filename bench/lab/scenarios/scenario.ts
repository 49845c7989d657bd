/** A scenario is data: who talks, what happens when, what must come out. */
import type { ClientMix, SessionKind } from '../clients/event.ts';

/** What decides, packet by packet, to which PoP the router sends it. */
export type SplitBy =
  /** Chance: every packet goes to any of the PoPs. */
  | 'packet'
  /** A SYN goes to the best PoP, every other packet to the next one. */
  | 'syn'
  /** The TTL, which a box on the clients' side lowers in SYNs: those go to the best PoP. */
  | 'ttl'
  /** The ECN bits of RFC 3168: data of an ECN connection goes to the next PoP, the rest to the best. */
  | 'ecn'
  /** ICMP errors about the path's MTU go to the next PoP, TCP follows the route. */
  | 'errors';

/** One thing that happens. PoPs are named by rank: 0 is the router's first choice. */
export type ScenarioAction =
  /** The route moves: to the next PoP in the order of preference, or back to the best one. */
  | { readonly type: 'flip'; readonly to: 'next' | 'best' }
  /** From now on the router spreads the packets of one flow. */
  | { readonly type: 'split'; readonly by: SplitBy }
  /** The link between router and clients carries smaller packets from now on. */
  | { readonly type: 'mtu'; readonly bytes: number }
  /** Part of what PoPs send each other over the backbone is lost, relayed packets excepted. */
  | { readonly type: 'mesh-loss'; readonly percent: number }
  /** One PoP no longer reaches the other PoPs over the backbone. */
  | { readonly type: 'cut'; readonly rank: number }
  /** Ends `mesh-loss` and `cut`. */
  | { readonly type: 'mend' }
  /** A PoP dies without a last word: power off. */
  | { readonly type: 'crash'; readonly rank: number }
  /** The healing agent of a PoP is killed and started again. */
  | { readonly type: 'restart-agent'; readonly rank: number }
  /** Segments from addresses that nobody has, in the background. */
  | {
      readonly type: 'flood';
      readonly segment: 'syn' | 'ack';
      readonly packetsPerS: number;
      readonly forMs: number;
    };

export interface ScenarioStep {
  /** Counted from the moment when all clients run. */
  readonly atMs: number;
  /** Repeats the step with this period until `tailMs` before the end. */
  readonly everyMs?: number;
  readonly action: ScenarioAction;
}

/** What must become of the sessions. `connect` sessions count for `survive` only. */
export type Expectation =
  /** Every one goes on to its planned end. */
  | 'survive'
  /** None does, and each is told so by a reset: nobody hangs. */
  | 'reset'
  /** None does. */
  | 'lose'
  /** At least one does not. */
  | 'some'
  /** Nothing is promised. */
  | 'any';

export interface Scenario {
  readonly name: string;
  /** One line for lists. */
  readonly about: string;
  /** Default length, from the moment when all clients run to the end of the last session. */
  readonly durationMs: number;
  /** Nothing happens in the last part, so that the effect of the last step can be seen. */
  readonly tailMs: number;
  /** Done before the first client starts, so that connections are made under it. */
  readonly before?: readonly ScenarioAction[];
  readonly steps: readonly ScenarioStep[];
  /** For servers that speak HTTP; others bring their own clients. */
  readonly clients: ClientMix;
  readonly expected: { readonly on: Expectation; readonly off: Expectation };
  /** The only way to move the route that is fast enough. */
  readonly flip?: 'route';
  /** PoPs when the user does not say. Default 3. */
  readonly pops?: number;
  /** Workers of the server under test. Default 1. */
  readonly workers?: number;
  /** A session without progress for this long has stalled. Default 10 000. */
  readonly stallMs?: number;
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

/** The PoPs that a scenario's actions name must exist: the least number of PoPs. */
export function fewestPops(scenario: Scenario): number {
  const actions = [...(scenario.before ?? []), ...scenario.steps.map((step) => step.action)];
  const ranks = actions.map((action) => ('rank' in action ? action.rank : 1));
  return Math.max(1, ...ranks) + 1;
}

/** The same sessions for the same time, with nothing happening to them. */
export function controlOf(scenario: Scenario): Scenario {
  const { before: _, ...rest } = scenario;
  return {
    ...rest,
    name: `${scenario.name} (control)`,
    steps: [],
    expected: { on: 'survive', off: 'survive' },
  };
}

/** Kinds for whom the end of one connection is not the end of the session. */
export const outlivesConnections = (kind: SessionKind): boolean => kind === 'connect';
