import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scenarioNamed, scenarios } from '../../bench/lab/scenarios/registry.ts';
import {
  controlOf,
  fewestPops,
  type Scenario,
  shortestDurationMs,
  timeline,
} from '../../bench/lab/scenarios/scenario.ts';

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
  expected: { on: 'survive', off: 'lose' },
};

test('repeated steps are written out in order of time, and the tail stays quiet', () => {
  assert.deepEqual(
    timeline(flap, 10_000).map(({ atMs, action }) => [
      atMs,
      action.type === 'flip' ? action.to : '',
    ]),
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

test('every scenario of the design exists, and says what must come out with healing on and off', () => {
  const names = new Set(scenarios.map((scenario) => scenario.name));
  for (const name of [
    'single-flip',
    'flap-10s',
    'flap-1s',
    'flap-100ms',
    'per-packet',
    'split-after-syn',
    'ecmp-ttl',
    'pmtu',
    'port-reuse',
    'home-crash',
    'agent-restart',
    'owner-crash',
    'mesh-loss-30',
    'partition',
    'syn-flood',
    'ack-flood',
    'idle-10k',
  ]) {
    assert.ok(names.has(name), name);
  }
  // Where nothing is lost without healing, healing has proved nothing.
  for (const { name, expected } of scenarios) {
    if (name !== 'no-flip') assert.notEqual(expected.off, 'survive', name);
  }
});

test('a scenario names the least number of PoPs that it needs', () => {
  assert.equal(fewestPops(scenarioNamed('single-flip')), 2);
  assert.equal(fewestPops(scenarioNamed('partition')), 3);
  assert.equal(fewestPops(scenarioNamed('home-crash')), 5);
  for (const scenario of scenarios) {
    assert.ok(fewestPops(scenario) <= (scenario.pops ?? 3), scenario.name);
  }
});

test('the control of a scenario has its sessions and its length, and nothing happens in it', () => {
  const control = controlOf(scenarioNamed('mesh-loss-30'));
  assert.deepEqual([control.steps, control.before], [[], undefined]);
  assert.equal(control.durationMs, scenarioNamed('mesh-loss-30').durationMs);
  assert.equal(control.expected.off, 'survive');
});
