/** Runs a planned suite, lab by lab, and keeps what it measured whatever happens. */
import { healingNamed } from '../lab/healing/healing.ts';
import { Lab } from '../lab/lab.ts';
import type { RunObserver } from '../lab/observer.ts';
import { LAB_PROGRAMS, requirePrograms, requireRoot } from '../lab/requirements.ts';
import { runScenario } from '../lab/run.ts';
import { programsOf } from '../lab/scenarios/scenario.ts';
import { commandServer } from '../lab/servers/command.ts';
import { serverNamed } from '../lab/servers/registry.ts';
import type { ServerDriver } from '../lab/servers/server.ts';
import type { Family } from '../lab/topology.ts';
import { collectVersions } from '../lab/versions.ts';
import { describeMachine } from '../measure/machine.ts';
import { cellOf, keyOf, scenarioInResult } from './cell.ts';
import { failureText } from './failure.ts';
import { type FlapPlan, type PlannedCell, remainingMs, sharesLab } from './plan.ts';
import type { SuiteProgress } from './progress.ts';
import {
  FLAP_FORMAT,
  type FlapCell,
  type FlapContender,
  type FlapFailure,
  type FlapResult,
} from './result.ts';
import { rowsOf } from './rows.ts';

export interface SuiteOptions {
  readonly suite: string;
  /** What was typed. */
  readonly command: string;
  readonly seed: number;
  /** Of the server named `command`. */
  readonly serverCommand?: string | undefined;
  readonly progress: SuiteProgress;
  readonly signal?: AbortSignal | undefined;
}

/** What can be said of a suite at any time. */
export class SuiteRecord {
  readonly cells: FlapCell[] = [];
  readonly failures: FlapFailure[] = [];
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();

  get elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  fail(cell: PlannedCell, message: string): void {
    this.failures.push({ ...keyOf(cell), repetition: cell.repetition, message });
  }

  result(
    plan: FlapPlan,
    options: Pick<SuiteOptions, 'suite' | 'command' | 'seed'>,
    facts: { versions: Record<string, string>; contenders: readonly FlapContender[] },
  ): FlapResult {
    return {
      format: FLAP_FORMAT,
      suite: options.suite,
      command: options.command,
      seed: options.seed,
      startedAt: this.#startedAt.toISOString(),
      tookMs: Math.round(this.elapsedMs),
      complete: this.cells.length + this.failures.length === plan.cells.length,
      plannedCells: plan.cells.length,
      machine: describeMachine(),
      versions: facts.versions,
      scenarios: plan.scenarios.map(scenarioInResult),
      contenders: facts.contenders,
      cells: this.cells,
      rows: inOrder(plan, this.cells),
      failures: this.failures,
    };
  }
}

/** Rows as tables show them: by scenario, contender, family. */
function inOrder(plan: FlapPlan, cells: readonly FlapCell[]) {
  const scenario = new Map(plan.scenarios.map(({ name }, index) => [name, index]));
  const contender = new Map(plan.contenders.map(({ name }, index) => [name, index]));
  const place = (names: ReadonlyMap<string, number>, name: string) => names.get(name) ?? 0;
  return rowsOf(cells).sort(
    (a, b) =>
      place(scenario, a.scenario) - place(scenario, b.scenario) ||
      place(contender, a.contender) - place(contender, b.contender) ||
      a.family - b.family,
  );
}

/**
 * Runs every cell. A cell that fails is recorded, and the next one gets a new lab. When `signal`
 * aborts, what was measured so far is the result.
 * @throws LabError when the machine lacks what a lab needs.
 */
export async function runSuite(plan: FlapPlan, options: SuiteOptions): Promise<FlapResult> {
  requireRoot();
  const names = [...new Set(plan.cells.map((cell) => cell.contender.server))];
  const drivers = names.map((name) => driverOf(name, options, 4));
  const healing = plan.cells.some((cell) => cell.contender.agent) ? healingNamed('on') : undefined;
  const programs = [
    ...drivers.flatMap((driver) => driver.programs),
    ...plan.scenarios.flatMap(programsOf),
  ];
  await requirePrograms([...LAB_PROGRAMS, ...programs, ...(healing?.programs ?? [])]);
  const record = new SuiteRecord();
  const { progress, signal } = options;
  let lab: Lab | undefined;
  let last: PlannedCell | undefined;
  const remove = async () => {
    const old = lab;
    lab = undefined;
    last = undefined;
    if (old === undefined) return;
    progress.step('removing the lab');
    await old.down();
  };
  try {
    for (const [index, cell] of plan.cells.entries()) {
      if (signal?.aborted) break;
      const left = remainingMs(plan, index, record.elapsedMs);
      progress.begin(titleOf(cell), index + 1, plan.cells.length, left);
      try {
        if (!sharesLab(last, cell)) await remove();
        lab ??= await buildLab(cell, options);
        last = cell;
        const measured = await runCell(lab, cell, progress, signal);
        record.cells.push(measured);
        progress.done(summary(measured));
      } catch (error) {
        if (signal?.aborted) break;
        const message = failureText(error);
        record.fail(cell, message);
        progress.done(`failed: ${message}`);
        await remove();
      }
    }
  } finally {
    await remove();
    progress.close();
  }
  return record.result(plan, options, await factsOf(plan, drivers));
}

export const titleOf = ({ scenario, contender, family, repetition }: PlannedCell): string =>
  `${scenario.name} · ${contender.name} · IPv${family}${repetition > 1 ? ` · ${repetition}` : ''}`;

export function summary({ sessions, complaints }: FlapCell): string {
  const text = `${sessions.survived} of ${sessions.started} sessions survived`;
  return complaints.length === 0 ? text : `${text} (not as expected: ${complaints.join('; ')})`;
}

function driverOf(name: string, options: SuiteOptions, family: Family): ServerDriver {
  return name === 'command'
    ? commandServer(options.serverCommand ?? '', family)
    : serverNamed(name);
}

async function buildLab(cell: PlannedCell, options: SuiteOptions): Promise<Lab> {
  const { progress, signal } = options;
  return await Lab.up({
    ...cell.needs,
    server: driverOf(cell.contender.server, options, cell.family),
    family: cell.family,
    seed: cell.seed,
    progress,
    signal,
  });
}

async function runCell(
  lab: Lab,
  cell: PlannedCell,
  progress: SuiteProgress,
  signal: AbortSignal | undefined,
): Promise<FlapCell> {
  const { scenario, contender, seed } = cell;
  const observer: RunObserver = {
    step: (text) => progress.step(text),
    tick: () => {},
    event: (_, text) => progress.step(text),
  };
  const result = await runScenario(lab, {
    scenario,
    healing: healingNamed(contender.agent ? 'on' : 'off'),
    flip: scenario.flip ?? 'bgp',
    seed,
    durationMs: scenario.durationMs,
    clients: lab.options.server.clients ?? scenario.clients,
    keepHealing: true,
    observer,
    signal,
  });
  return cellOf(cell, result);
}

async function factsOf(plan: FlapPlan, drivers: readonly ServerDriver[]) {
  const versions: Record<string, string> = {};
  const own = new Map<string, string>();
  for (const driver of drivers) {
    const { server = '', ...shared } = await collectVersions(driver);
    Object.assign(versions, shared);
    own.set(driver.name, server);
  }
  versions.holdfast = await serverNamed('holdfast').version();
  const contenders = plan.contenders.map((each) => ({
    ...each,
    version: own.get(each.server) ?? '',
  }));
  return { versions, contenders };
}
