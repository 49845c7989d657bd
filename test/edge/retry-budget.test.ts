import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RetryBudget } from '../../src/edge/retry-budget.ts';

function takeAll(budget: RetryBudget): number {
  let taken = 0;
  while (budget.tryTake()) taken += 1;
  return taken;
}

test('a new route may make ten retries before it has earned any', () => {
  assert.equal(takeAll(new RetryBudget(0.2)), 10);
});

test('five requests earn one retry at a ratio of 0.2', () => {
  const budget = new RetryBudget(0.2);
  takeAll(budget);
  for (let i = 0; i < 4; i++) budget.deposit();
  assert.equal(budget.tryTake(), false);
  budget.deposit();
  assert.equal(budget.tryTake(), true);
  assert.equal(budget.tryTake(), false);
});

test('when everything fails, retries stay at the ratio', () => {
  const budget = new RetryBudget(0.1);
  let retries = 0;
  for (let i = 0; i < 10_000; i++) {
    budget.deposit();
    if (budget.tryTake()) retries += 1;
  }
  assert.ok(retries >= 1_000 && retries <= 1_010, String(retries));
});

test('a long quiet time does not pay for a storm', () => {
  const budget = new RetryBudget(0.2);
  for (let i = 0; i < 1_000_000; i++) budget.deposit();
  assert.equal(takeAll(budget), 200);
});

test('a small ratio keeps the floor as its cap', () => {
  const budget = new RetryBudget(0.001);
  for (let i = 0; i < 1_000_000; i++) budget.deposit();
  assert.equal(takeAll(budget), 10);
});

test('a ratio of 0 allows no retry at all', () => {
  const budget = new RetryBudget(0);
  budget.deposit();
  assert.equal(budget.tryTake(), false);
});
