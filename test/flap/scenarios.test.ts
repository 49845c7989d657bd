/** Scenarios of the suites that no other test runs, in a fraction of their time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planFlap } from '../../bench/flap/plan.ts';
import { silentSuite } from '../../bench/flap/progress.ts';
import { runSuite } from '../../bench/flap/run.ts';
import { scenarioNamed } from '../../bench/lab/scenarios/registry.ts';
import type { Scenario, ScenarioEvent } from '../../bench/lab/scenarios/scenario.ts';
import { skipWithoutRoot } from '../lab/root.ts';

/** The same events, so many times as fast, and few sessions. */
function hurried(name: string, times: number): Scenario {
  const scenario = scenarioNamed(name);
  return {
    ...scenario,
    durationMs: Math.round(scenario.durationMs / times),
    tailMs: Math.round(scenario.tailMs / times),
    clients: { download: 1, websocket: 2 },
    transferBytes: 1_048_576,
    events: scenario.events.map(
      (event) => ({ ...event, atMs: Math.round(event.atMs / times) }) as ScenarioEvent,
    ),
  };
}

test('withdrawals with their tail, drains by the route and a tenth of the packets elsewhere: nobody is lost', {
  skip: skipWithoutRoot,
  timeout: 120_000,
}, async () => {
  const scenarios = [
    hurried('withdrawal-tail', 25),
    hurried('drain-route', 7),
    hurried('per-packet-10', 4),
  ];
  const plan = planFlap({ scenarios, servers: ['nginx'], agent: 'on', families: [4] });
  const common = { suite: 'custom', command: '', seed: 1, progress: silentSuite };
  const { rows, failures, cells } = await runSuite(plan, common);
  assert.deepEqual(failures, []);
  const text = JSON.stringify(cells.map(({ examples, complaints }) => [examples, complaints]));
  assert.deepEqual(
    rows.map(({ scenario, sessions }) => [scenario, sessions.survived, sessions.started]),
    scenarios.map(({ name }) => [name, 3, 3]),
    text,
  );
  for (const { scenario, relayedPackets, steps } of cells) {
    assert.ok((relayedPackets ?? 0) > 0, scenario);
    const planned = scenarios.find(({ name }) => name === scenario)!;
    assert.equal(steps.length, planned.before.length + planned.events.length, scenario);
  }
});
