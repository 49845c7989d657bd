import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  costsMs,
  type PlanOptions,
  planFlap,
  remainingMs,
  sharesLab,
} from '../../bench/flap/plan.ts';
import { clockText } from '../../bench/flap/progress.ts';
import { SUITE_SERVERS, type SuiteName, suiteScenarios } from '../../bench/flap/suites.ts';
import { checkScenario } from '../../bench/lab/scenarios/checks.ts';
import { scenarioNamed, scenarios } from '../../bench/lab/scenarios/registry.ts';
import { timeline } from '../../bench/lab/scenarios/scenario.ts';

const plan = (options: Partial<PlanOptions> = {}) =>
  planFlap({
    scenarios: [scenarioNamed('single-flip'), scenarioNamed('flap-1s')],
    servers: ['holdfast', 'nginx'],
    families: [4],
    ...options,
  });

test('holdfast is run with the agent, every other server without and with it', () => {
  assert.deepEqual(
    plan().contenders.map((each) => each.name),
    ['holdfast+agent', 'nginx', 'nginx+agent'],
  );
  const only = (agent: 'on' | 'off' | 'both') => plan({ agent }).contenders.map(({ name }) => name);
  assert.deepEqual(only('off'), ['holdfast', 'nginx']);
  assert.deepEqual(only('on'), ['holdfast+agent', 'nginx+agent']);
  assert.equal(only('both').length, 4);
});

test('every scenario meets every contender, in every family, as often as asked', () => {
  const { cells } = plan({ families: [4, 6], repetitions: 3 });
  assert.equal(cells.length, 2 * 3 * 2 * 3);
  const keys = cells.map((c) =>
    [c.scenario.name, c.contender.name, c.family, c.repetition].join(' '),
  );
  assert.equal(new Set(keys).size, keys.length);
});

test('one lab serves all that can share it: without the agent first, what wears it out last', () => {
  const { cells } = plan({
    scenarios: scenarios().filter(({ name }) =>
      ['single-flip', 'owner-crash', 'flap-1s', 'far-flip'].includes(name),
    ),
    servers: ['nginx'],
  });
  const labs = cells.filter((cell, index) => !sharesLab(cells[index - 1], cell));
  // One for the long links, one for the short ones, and a new one after the crash.
  assert.deepEqual(
    labs.map((cell) => `${cell.scenario.name} ${cell.contender.name}`),
    ['far-flip nginx', 'flap-1s nginx', 'flap-1s nginx+agent'],
  );
  assert.deepEqual(
    cells.map((cell) => `${cell.scenario.name} ${cell.contender.agent ? 'on' : 'off'}`),
    [
      'far-flip off',
      'far-flip on',
      'flap-1s off',
      'single-flip off',
      'owner-crash off',
      'flap-1s on',
      'single-flip on',
      'owner-crash on',
    ],
  );
});

test('a lab whose agents run is never used for a run without them', () => {
  const [off, on] = ['off', 'on'].map(
    (agent) => plan({ servers: ['nginx'], agent: agent as 'on' | 'off' }).cells[0],
  );
  assert.equal(sharesLab(on, off!), false);
  assert.equal(sharesLab(off, on!), true);
  assert.equal(sharesLab(undefined, on!), false);
});

test('a scenario that names its servers is not run with others', () => {
  const { cells, contenders } = plan({
    scenarios: [scenarioNamed('partition'), scenarioNamed('single-flip')],
    servers: ['haproxy', 'nginx'],
  });
  const met = cells.filter((cell) => cell.scenario.name === 'partition');
  assert.ok(met.every((cell) => cell.contender.server === 'nginx'));
  assert.equal(contenders.length, 4);
  const none = () => plan({ scenarios: [scenarioNamed('partition')], servers: ['haproxy'] });
  assert.throws(none, /nothing to run/);
});

test('the seed of the command wins over those of the scenarios', () => {
  assert.deepEqual(new Set(plan().cells.map((cell) => cell.seed)), new Set([1]));
  assert.deepEqual(new Set(plan({ seed: 9 }).cells.map((cell) => cell.seed)), new Set([9]));
});

test('the same wish gives the same plan', () => {
  assert.deepEqual(plan({ repetitions: 2 }), plan({ repetitions: 2 }));
});

test('what the quick suite takes of a scenario still fits together, and something happens in it', () => {
  for (const scenario of suiteScenarios('quick')) {
    assert.deepEqual(checkScenario(scenario), [], scenario.name);
    const actions = timeline(scenario, scenario.durationMs).length + scenario.before.length;
    assert.ok(actions > 0 || scenario.name === 'no-flip', scenario.name);
  }
});

test('the quick suite is planned for less than five minutes, the full one for less than 45, maintenance for 25', () => {
  const minutes = (suite: SuiteName) => {
    const suitePlan = plan({ scenarios: suiteScenarios(suite), servers: SUITE_SERVERS });
    return remainingMs(suitePlan, 0, 0) / 60_000;
  };
  assert.ok(minutes('quick') < 5, `${minutes('quick')}`);
  assert.ok(minutes('full') < 45, `${minutes('full')}`);
  assert.ok(minutes('maintenance') < 25, `${minutes('maintenance')}`);
});

test('time left follows from the estimates at first, then from how true they were', () => {
  const ahead = plan({ repetitions: 4 });
  const costs = costsMs(ahead);
  const sum = (part: readonly number[]) => part.reduce((total, cost) => total + cost, 0);
  const half = costs.length / 2;
  const [before, after] = [sum(costs.slice(0, half)), sum(costs.slice(half))];
  assert.equal(remainingMs(ahead, 0, 0), before + after);
  assert.equal(remainingMs(ahead, half, before), after);
  // Twice as slow as thought until now: twice as slow from now on.
  assert.equal(remainingMs(ahead, half, 2 * before), 2 * after);
  assert.equal(remainingMs(ahead, costs.length, 1_000_000), 0);
});

test('a clock shows hours only when there are any', () => {
  assert.deepEqual([0, 6_500, 750_000, 3_723_000, -5].map(clockText), [
    '0:00',
    '0:07',
    '12:30',
    '1:02:03',
    '0:00',
  ]);
});
