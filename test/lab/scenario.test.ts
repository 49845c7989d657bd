import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scenarioNamed, scenarioNames, scenarios } from '../../bench/lab/scenarios/registry.ts';
import {
  changingLinks,
  controlOf,
  fewestPops,
  shortestDurationMs,
  timeline,
} from '../../bench/lab/scenarios/scenario.ts';
import { type ScenarioInput, scenarioSchema } from '../../bench/lab/scenarios/schema.ts';

const written: ScenarioInput = {
  name: 'flap',
  about: 'two flips and one more',
  durationMs: 10_000,
  tailMs: 2_000,
  events: [
    { atMs: 5_000, do: 'flip', to: 'best' },
    { atMs: 1_000, everyMs: 3_000, do: 'flip', to: 'next' },
  ],
  clients: { download: 1 },
  expected: { on: 'survive', off: 'lose' },
};
const flap = scenarioSchema.parse(written);

test('repeated events are written out in order of time, and the tail stays quiet', () => {
  assert.deepEqual(
    timeline(flap, 10_000).map(({ atMs, action }) => [atMs, action.do === 'flip' && action.to]),
    [
      [1_000, 'next'],
      [4_000, 'next'],
      [5_000, 'best'],
      [7_000, 'next'],
    ],
  );
  assert.deepEqual(timeline(flap, 8_900).at(-1)?.atMs, 5_000);
  assert.deepEqual(timeline(flap, 2_000), []);
});

test('an action of the timeline is what was written, without its time', () => {
  const [first] = timeline(flap, 10_000);
  assert.deepEqual(first, { atMs: 1_000, action: { do: 'flip', to: 'next' } });
});

test('every scenario fits into its own duration, is named like its file, and says what it stands for', () => {
  assert.deepEqual(
    scenarios().map((scenario) => scenario.name),
    scenarioNames(),
  );
  for (const scenario of scenarios()) {
    assert.ok(shortestDurationMs(scenario) <= scenario.durationMs, scenario.name);
    const actions = timeline(scenario, scenario.durationMs);
    assert.ok(actions.length >= scenario.events.length, scenario.name);
    assert.notEqual(scenario.standsFor, '', scenario.name);
    assert.ok(scenario.about.length <= 120, scenario.name);
  }
});

test('scenarios are plain data that survives being written down', () => {
  for (const scenario of scenarios()) {
    assert.deepEqual(scenarioSchema.parse(JSON.parse(JSON.stringify(scenario))), scenario);
  }
});

test('an unknown scenario is refused with the names of those that exist', () => {
  assert.throws(() => scenarioNamed('single-flop'), /single-flip, split-after-syn/);
});

test('every scenario of the design exists, and says what must come out with healing on and off', () => {
  const names = new Set(scenarioNames());
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
    'ten-thousand',
  ]) {
    assert.ok(names.has(name), name);
  }
  // Where nothing is lost without healing, healing has proved nothing. Two scenarios ask something
  // else: what the routers hear when an agent dies, and what a node does that only the mesh has lost.
  const others = ['no-flip', 'agent-killed', 'isolated'];
  for (const { name, expected } of scenarios()) {
    if (!others.includes(name)) assert.notEqual(expected.off, 'survive', name);
  }
});

test('a scenario names the least number of PoPs that it needs', () => {
  assert.equal(fewestPops(scenarioNamed('single-flip')), 2);
  assert.equal(fewestPops(scenarioNamed('partition')), 3);
  assert.equal(fewestPops(scenarioNamed('home-crash')), 5);
  const far = scenarioSchema.parse({
    ...written,
    pops: 6,
    events: [{ atMs: 1, do: 'flip', to: 'f' }],
  });
  assert.equal(fewestPops(far), 6);
  for (const scenario of scenarios()) {
    assert.ok(fewestPops(scenario) <= scenario.pops, scenario.name);
  }
});

test('links that an event makes longer or worse must be long from the start', () => {
  assert.deepEqual(changingLinks(scenarioNamed('bad-access')), { clients: true, backbone: false });
  assert.deepEqual(changingLinks(scenarioNamed('flap-1s')), { clients: false, backbone: false });
});

test('the control of a scenario has its sessions and its length, and nothing happens in it', () => {
  const control = controlOf(scenarioNamed('mesh-loss-30'));
  assert.deepEqual([control.events, control.before], [[], []]);
  assert.equal(control.durationMs, scenarioNamed('mesh-loss-30').durationMs);
  assert.equal(control.expected.off, 'survive');
});
