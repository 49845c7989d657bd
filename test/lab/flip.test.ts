/** Real sessions in network namespaces: they live while the route stays and break when it moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientMix } from '../../bench/lab/clients/event.ts';
import { healingNamed } from '../../bench/lab/healing/healing.ts';
import type { Lab } from '../../bench/lab/lab.ts';
import type { LabResult } from '../../bench/lab/measure/result.ts';
import { silent } from '../../bench/lab/progress.ts';
import { requirePrograms } from '../../bench/lab/requirements.ts';
import type { FlipMethod } from '../../bench/lab/route/control.ts';
import { runScenario } from '../../bench/lab/run.ts';
import { scenarioNamed } from '../../bench/lab/scenarios/registry.ts';
import type { Scenario } from '../../bench/lab/scenarios/scenario.ts';
import { serverNamed } from '../../bench/lab/servers/registry.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { withLab } from '../../bench/lab/with-lab.ts';
import { skipWithoutRoot } from './root.ts';

const CLIENTS: ClientMix = { download: 2, upload: 2, websocket: 2, sse: 2 };
const SESSIONS = 8;

const control: Scenario = {
  ...scenarioNamed('no-flip'),
  durationMs: 2_500,
  tailMs: 1_000,
  clients: CLIENTS,
};
/** The same as `single-flip`, in less time. */
const flip: Scenario = {
  ...scenarioNamed('single-flip'),
  durationMs: 2_500,
  tailMs: 1_500,
  steps: [{ atMs: 800, action: { type: 'flip', to: 'next' } }],
  clients: CLIENTS,
};

const run = (lab: Lab, scenario: Scenario, how: FlipMethod = 'bgp'): Promise<LabResult> =>
  runScenario(lab, {
    scenario,
    healing: healingNamed('off'),
    flip: how,
    seed: 7,
    durationMs: scenario.durationMs,
    clients: scenario.clients,
    transferBytes: 1_048_576,
    observer: { ...silent, tick: () => {}, event: () => {} },
  });

function assertAllSurvived(result: LabResult): void {
  const { started, survived } = result.sessions;
  assert.equal(started, SESSIONS);
  assert.equal(survived, SESSIONS, JSON.stringify(result.examples));
}

function assertAllReset(result: LabResult): void {
  assert.deepEqual(
    result.sessions,
    { started: SESSIONS, survived: 0, reset: SESSIONS, stalled: 0, corrupt: 0 },
    JSON.stringify(result.examples),
  );
  const [moved] = result.flipEvents;
  assert.deepEqual([moved?.from, moved?.to, result.flips], ['pop-a', 'pop-b', 1]);
  assert.ok((moved?.convergenceMs ?? -1) > 0);
  // The PoP that has no socket for them is the one that says so.
  assert.ok((result.resetsSent['pop-b'] ?? 0) >= SESSIONS);
  assert.equal(result.resetsSent['pop-c'], 0);
  assert.equal(result.relayedPackets, 0);
}

/** Both families and both ways for the servers of most interest; enough of the others. */
const PLAN: readonly { server: string; family: Family; quiet: boolean; flips: FlipMethod[] }[] = [
  { server: 'nginx', family: 4, quiet: true, flips: ['bgp', 'route'] },
  { server: 'nginx', family: 6, quiet: false, flips: ['bgp', 'route'] },
  { server: 'haproxy', family: 4, quiet: true, flips: ['bgp'] },
  { server: 'holdfast', family: 4, quiet: true, flips: ['bgp', 'route'] },
  { server: 'holdfast', family: 6, quiet: true, flips: ['bgp', 'route'] },
];

for (const { server, family, quiet, flips } of PLAN) {
  const live = quiet ? 'live while the route stays and ' : '';
  test(`sessions through ${server} over IPv${family} ${live}are reset when it moves (${flips.join(', ')})`, {
    skip: skipWithoutRoot,
    timeout: 60_000,
  }, async () => {
    await requirePrograms([]);
    const options = { server: serverNamed(server), family, pops: 3, progress: silent };
    await withLab(options, async (lab) => {
      if (quiet) {
        const result = await run(lab, control);
        assertAllSurvived(result);
        assert.equal(result.flips, 0);
        // Echoes are sent every 20 ms: half of the gaps are below and half above.
        const { p50 } = result.baselineGapMs;
        assert.ok(p50 !== null && p50 > 10 && p50 < 40, `${p50}`);
      }
      // The lab puts the route back before each run, so both ways can be tried in one lab.
      for (const how of flips) assertAllReset(await run(lab, flip, how));
    });
  });
}

test('two labs side by side do not disturb each other', {
  skip: skipWithoutRoot,
  timeout: 60_000,
}, async () => {
  await requirePrograms([]);
  const options = { server: serverNamed('nginx'), family: 4, pops: 2, progress: silent } as const;
  await withLab(options, async (first) => {
    await withLab(options, async (second) => {
      assert.notEqual(first.id, second.id);
      const [broken, whole] = await Promise.all([run(first, flip), run(second, control)]);
      assert.equal(broken.sessions.reset, SESSIONS);
      assertAllSurvived(whole);
    });
  });
});
