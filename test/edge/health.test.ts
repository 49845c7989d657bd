import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HealthState } from '../../src/edge/health.ts';

function transitions(state: HealthState, results: string): string {
  return [...results]
    .map((result) => {
      const transition = state.report(result === '+');
      return transition === undefined ? '.' : transition === 'up' ? 'U' : 'D';
    })
    .join('');
}

test('falls after so many failures in a row and rises after so many successes', () => {
  const state = new HealthState({ rise: 2, fall: 3 });
  assert.equal(state.healthy, true);
  assert.equal(transitions(state, '+--+--- -'.replace(' ', '')), '......D.');
  assert.equal(state.healthy, false);
  assert.equal(transitions(state, '+-++++'), '...U..');
  assert.equal(state.healthy, true);
});

test('with limits of one every change counts', () => {
  assert.equal(transitions(new HealthState({ rise: 1, fall: 1 }), '-+-'), 'DUD');
});

test('may begin unhealthy', () => {
  const state = new HealthState({ rise: 1, fall: 1 }, false);
  assert.equal(state.healthy, false);
  assert.equal(state.report(true), 'up');
});
