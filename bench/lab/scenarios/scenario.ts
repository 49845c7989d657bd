/** What follows from a scenario: its timeline, what it needs, its control run. Pure. */
import type { SessionKind } from '../clients/event.ts';
import type { Expectation, Scenario, ScenarioAction, ScenarioEvent } from './schema.ts';

export type { Expectation, Scenario, ScenarioAction, ScenarioEvent };

/** What decides, packet by packet, to which PoP the router sends it. */
export type SplitBy = Extract<ScenarioAction, { do: 'split' }>['by'];

export interface TimedAction {
  readonly atMs: number;
  readonly action: ScenarioAction;
}

const ACTIONS_MAX = 100_000;

/** The events of a scenario in order of time, repetitions written out, for a run of `durationMs`. */
export function timeline(scenario: Scenario, durationMs: number): TimedAction[] {
  const lastMs = durationMs - scenario.tailMs;
  const timed = scenario.events.flatMap(({ atMs, everyMs, ...rest }): TimedAction[] => {
    const action = rest as ScenarioAction;
    if (everyMs === undefined) return atMs <= lastMs ? [{ atMs, action }] : [];
    const times = Math.min(ACTIONS_MAX, Math.max(0, Math.floor((lastMs - atMs) / everyMs) + 1));
    return Array.from({ length: times }, (_, index) => ({ atMs: atMs + index * everyMs, action }));
  });
  return timed.sort((a, b) => a.atMs - b.atMs);
}

/** The shortest run in which every event happens at least once. */
export function shortestDurationMs(scenario: Scenario): number {
  return Math.max(0, ...scenario.events.map((event) => event.atMs)) + scenario.tailMs;
}

/** All that happens, before the clients run or later. */
export const actionsOf = ({ before, events }: Scenario): ScenarioAction[] => [...before, ...events];

/** 0 for `a`. */
export const rankOf = (letter: string): number => letter.charCodeAt(0) - 'a'.charCodeAt(0);

/** The PoPs that a scenario's actions name must exist: the least number of PoPs. */
export function fewestPops(scenario: Scenario): number {
  const ranks = actionsOf(scenario).map((action) => {
    if ('pop' in action && action.pop !== undefined) return rankOf(action.pop);
    if (action.do !== 'flip' || action.to === 'next' || action.to === 'best') return 1;
    return rankOf(action.to);
  });
  return Math.max(1, ...ranks) + 1;
}

/** Which links must be long from the start, so that they can change their length later. */
export function changingLinks(scenario: Scenario): { clients: boolean; backbone: boolean } {
  const actions = actionsOf(scenario);
  const delayed = (where: 'clients' | 'backbone') =>
    actions.some((action) => action.do === 'delay' && action.where === where);
  return {
    clients: delayed('clients') || actions.some((action) => action.do === 'loss'),
    backbone: delayed('backbone'),
  };
}

/** Whether every PoP that holds sessions lives through it: then healing must lose none. */
export const ownerLives = ({ expected }: Scenario): boolean =>
  expected.on === 'survive' || expected.on === 'endure';

/** The same sessions for the same time, with nothing happening to them. */
export function controlOf(scenario: Scenario): Scenario {
  return {
    ...scenario,
    name: `${scenario.name} (control)`,
    before: [],
    events: [],
    expected: { on: 'survive', off: 'survive' },
  };
}

/** Kinds for whom the end of one connection is not the end of the session. */
export const outlivesConnections = (kind: SessionKind): boolean =>
  kind === 'connect' || kind === 'visit' || kind === 'reconnect';

/** What a lab must be like for a scenario. */
export interface LabNeeds {
  readonly pops: number;
  readonly delayMs: number;
  readonly lossPercent: number;
  readonly backboneDelayMs: number;
  readonly changing: { readonly clients: boolean; readonly backbone: boolean };
  readonly workers: number;
  readonly bfdMs: number;
  readonly tls: boolean;
  readonly announcing: Scenario['announcing'];
  readonly agent: Scenario['agent'];
}

export const labNeeds = (scenario: Scenario): LabNeeds => ({
  ...scenario.links,
  pops: scenario.pops,
  changing: changingLinks(scenario),
  workers: scenario.workers,
  tls: scenario.tls,
  announcing: scenario.announcing,
  agent: scenario.agent,
});

/** Programs that must be installed for a scenario, beside those of every lab. */
export const programsOf = ({ announcing, tls }: Scenario): string[] => [
  ...(announcing === 'exabgp' ? ['exabgp'] : []),
  ...(tls ? ['openssl'] : []),
];
