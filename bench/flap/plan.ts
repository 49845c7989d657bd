/** What a benchmark will run, in which order and for how long. Pure. */
import { LabError } from '../lab/errors.ts';
import { actionsOf, type LabNeeds, labNeeds, type Scenario } from '../lab/scenarios/scenario.ts';
import type { Family } from '../lab/topology.ts';

/** A server with or without the agent beside it. */
export interface PlannedContender {
  readonly name: string;
  readonly server: string;
  readonly agent: boolean;
}

export interface PlannedCell {
  readonly scenario: Scenario;
  readonly contender: PlannedContender;
  readonly family: Family;
  /** From 1. */
  readonly repetition: number;
  readonly seed: number;
  /** Cells of one lab share it. */
  readonly lab: string;
  readonly needs: LabNeeds;
  /** The cell leaves a lab with other processes and other state behind: the next one gets a new lab. */
  readonly wearsOut: boolean;
  /** About how long it takes on a quiet machine, its share of building a lab not included. */
  readonly estimateMs: number;
}

export interface PlanOptions {
  readonly scenarios: readonly Scenario[];
  readonly servers: readonly string[];
  /** Default: `holdfast` with the agent, which is how it is meant, and all others in both ways. */
  readonly agent?: 'on' | 'off' | 'both' | undefined;
  readonly families: readonly Family[];
  /** Default each scenario's own. */
  readonly repetitions?: number | undefined;
  /** Default each scenario's own. */
  readonly seed?: number | undefined;
}

export interface FlapPlan {
  readonly scenarios: readonly Scenario[];
  readonly contenders: readonly PlannedContender[];
  /** In the order in which they run: lab by lab, without the agent before with it. */
  readonly cells: readonly PlannedCell[];
}

/** Building a lab, its servers and its agents. */
export const LAB_MS = 9_000;
/** Starting and ending sessions, reading counters. */
const CELL_MS = 3_500;
const EACH_SESSION_MS = 4;
/** Most cells of one run. */
const CELLS_MAX = 10_000;

export const contenderName = (server: string, agent: boolean): string =>
  agent ? `${server}+agent` : server;

function contendersOf({ servers, agent }: PlanOptions): PlannedContender[] {
  return servers.flatMap((server) => {
    const wanted = agent ?? (server === 'holdfast' ? 'on' : 'both');
    const ways = wanted === 'both' ? [false, true] : [wanted === 'on'];
    return ways.map((on) => ({ name: contenderName(server, on), server, agent: on }));
  });
}

/**
 * Sessions without healing end when the route moves first, so the rest of the time is not needed;
 * when they are to survive or to hang, all of it is.
 */
function estimateMs(scenario: Scenario, agent: boolean): number {
  const sessions = Object.values(scenario.clients).reduce<number>((sum, n) => sum + (n ?? 0), 0);
  const first = Math.min(scenario.durationMs, ...scenario.events.map((event) => event.atMs));
  const { off } = scenario.expected;
  const early = !agent && off === 'lose' && (scenario.clients.connect ?? 0) === 0;
  const lastsMs = early ? (scenario.before.length > 0 ? 0 : first) : scenario.durationMs;
  return lastsMs + CELL_MS + sessions * EACH_SESSION_MS;
}

/** @throws LabError `ERR_LAB_USAGE` when nothing is left to run, or far too much is. */
export function planFlap(options: PlanOptions): FlapPlan {
  const contenders = contendersOf(options);
  const cells: PlannedCell[] = [];
  for (const contender of contenders) {
    for (const family of options.families) {
      for (const scenario of options.scenarios) {
        const { servers } = scenario;
        if (servers.length > 0 && !servers.includes(contender.server)) continue;
        const needs = labNeeds(scenario);
        const did = actionsOf(scenario).map((action) => action.do);
        const times = options.repetitions ?? scenario.repetitions;
        for (let repetition = 1; repetition <= times; repetition += 1) {
          cells.push({
            scenario,
            contender,
            family,
            repetition,
            seed: options.seed ?? scenario.seed,
            lab: JSON.stringify([contender.server, family, needs]),
            needs,
            // Where holdfast announces, it remembers what it was told.
            wearsOut:
              did.includes('crash') ||
              did.includes('restart-agent') ||
              scenario.announcing !== 'lab',
            estimateMs: estimateMs(scenario, contender.agent),
          });
        }
      }
    }
  }
  if (cells.length === 0) {
    throw new LabError(
      'nothing to run: the scenarios name other servers (see "servers" in their files)',
      'ERR_LAB_USAGE',
    );
  }
  if (cells.length > CELLS_MAX) {
    throw new LabError(
      `${cells.length} runs are too many: the most is ${CELLS_MAX}`,
      'ERR_LAB_USAGE',
    );
  }
  const used = new Set(cells.map((cell) => cell.scenario.name));
  return {
    scenarios: options.scenarios.filter(({ name }) => used.has(name)),
    contenders: contenders.filter(({ name }) => cells.some((cell) => cell.contender.name === name)),
    cells: byLab(cells),
  };
}

/**
 * Lab by lab, in the order in which labs come first: without the agent first, and in either way what
 * wears the lab out last.
 */
function byLab(cells: readonly PlannedCell[]): PlannedCell[] {
  const labs = new Map<string, PlannedCell[]>();
  for (const cell of cells) {
    const known = labs.get(cell.lab);
    if (known === undefined) labs.set(cell.lab, [cell]);
    else known.push(cell);
  }
  const order = (cell: PlannedCell) => (cell.contender.agent ? 2 : 0) + (cell.wearsOut ? 1 : 0);
  return [...labs.values()].flatMap((lab) => lab.sort((a, b) => order(a) - order(b)));
}

/** Whether `next` can run in the lab that `last` has left. Agents stay once they run. */
export function sharesLab(last: PlannedCell | undefined, next: PlannedCell): boolean {
  if (last === undefined || last.lab !== next.lab || last.wearsOut) return false;
  return next.contender.agent || !last.contender.agent;
}

/** About how long each cell takes, its lab included when it needs a new one. */
export const costsMs = ({ cells }: FlapPlan): number[] =>
  cells.map((cell, index) =>
    sharesLab(cells[index - 1], cell) ? cell.estimateMs : cell.estimateMs + LAB_MS,
  );

/** What is left to do, by the estimates and by how true they were so far. */
export function remainingMs(plan: FlapPlan, done: number, elapsedMs: number): number {
  const costs = costsMs(plan);
  const sum = (part: readonly number[]) => part.reduce((total, cost) => total + cost, 0);
  const estimated = sum(costs.slice(0, done));
  // A single run says little about all the others.
  const trust = Math.min(1, done / 5);
  const slowness = estimated === 0 ? 1 : elapsedMs / estimated;
  return Math.round(sum(costs.slice(done)) * (1 + trust * (slowness - 1)));
}
