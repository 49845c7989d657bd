/** Short runs of scenarios in real labs, for tests. */
import assert from 'node:assert/strict';
import type { ClientMix } from '../../bench/lab/clients/event.ts';
import { healingNamed } from '../../bench/lab/healing/healing.ts';
import type { Lab, LabOptions } from '../../bench/lab/lab.ts';
import type { LabResult } from '../../bench/lab/measure/result.ts';
import { silent } from '../../bench/lab/progress.ts';
import { requirePrograms } from '../../bench/lab/requirements.ts';
import type { FlipMethod } from '../../bench/lab/route/control.ts';
import { runScenario } from '../../bench/lab/run.ts';
import { scenarioNamed } from '../../bench/lab/scenarios/registry.ts';
import type { Scenario, ScenarioEvent } from '../../bench/lab/scenarios/scenario.ts';
import { serverNamed } from '../../bench/lab/servers/registry.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { withLab } from '../../bench/lab/with-lab.ts';

export async function inLab(
  server: string,
  family: Family,
  work: (lab: Lab) => Promise<void>,
  options: Partial<LabOptions> = {},
): Promise<void> {
  await requirePrograms([]);
  const wanted = { server: serverNamed(server), family, pops: 3, progress: silent, ...options };
  await withLab(wanted, work);
}

/** A scenario of the catalogue in less time, with fewer sessions. */
export function shortened(
  name: string,
  changes: {
    readonly durationMs: number;
    readonly tailMs: number;
    readonly clients: ClientMix;
    readonly events?: readonly ScenarioEvent[];
    readonly stallMs?: number;
  },
): Scenario {
  const { events, ...rest } = changes;
  const scenario = { ...scenarioNamed(name), ...rest };
  return events === undefined ? scenario : { ...scenario, events: [...events] };
}

export const run = (lab: Lab, scenario: Scenario, flip?: FlipMethod): Promise<LabResult> =>
  runScenario(lab, {
    scenario,
    healing: healingNamed('off'),
    flip: flip ?? scenario.flip ?? 'bgp',
    seed: 7,
    durationMs: scenario.durationMs,
    clients: scenario.clients,
    transferBytes: 1_048_576,
    rampMs: 1_000,
    observer: { ...silent, tick: () => {}, event: () => {} },
  });

export function assertAllSurvived(result: LabResult): void {
  const { started, survived } = result.sessions;
  assert.ok(started > 0);
  assert.equal(survived, started, JSON.stringify(result.examples));
}

export function assertAllReset(result: LabResult): void {
  const { started } = result.sessions;
  assert.ok(started > 0);
  const expected = { started, survived: 0, reset: started, stalled: 0, corrupt: 0 };
  assert.deepEqual(result.sessions, expected, JSON.stringify(result.examples));
}
