import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scenarioNamed, scenarios } from '../../bench/lab/scenarios/registry.ts';
import { type Scenario, shortestDurationMs, timeline } from '../../bench/lab/scenarios/scenario.ts';

const flap: Scenario = {
  name: 'flap',
  about: '',
  durationMs: 10_000,
  tailMs: 2_000,
  steps: [
    { atMs: 5_000, action: { type: 'flip', to: 'best' } },
    { atMs: 1_000, everyMs: 3_000, action: { type: 'flip', to: 'next' } },
  ],
  clients: { download: 1, upload: 0, websocket: 0, sse: 0 },
  survive: 'with-healing',
};

test('repeated steps are written out in order of time, and the tail stays quiet', () => {
  assert.deepEqual(
    timeline(flap, 10_000).map(({ atMs, action }) => [atMs, action.to]),
    [
      [1_000, 'next'],
      [4_000, 'next'],
      [5_000, 'best'],
      [7_000, 'next'],
    ],
  );
  assert.deepEqual(timeline(flap, 8_900).at(-1)?.atMs, 5_000);
});

test('every scenario fits into its own duration and has a name of its own', () => {
  assert.equal(new Set(scenarios.map((s) => s.name)).size, scenarios.length);
  for (const scenario of scenarios) {
    assert.ok(shortestDurationMs(scenario) <= scenario.durationMs, scenario.name);
    const actions = timeline(scenario, scenario.durationMs);
    assert.ok(actions.length >= scenario.steps.length, scenario.name);
  }
});

test('scenarios are plain data that survives being written down', () => {
  for (const scenario of scenarios) {
    assert.deepEqual(JSON.parse(JSON.stringify(scenario)), scenario);
  }
});

test('an unknown scenario is refused with the names of those that exist', () => {
  assert.throws(() => scenarioNamed('single-flop'), /single-flip, no-flip/);
});
