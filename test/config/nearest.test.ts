import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/config/nearest.ts';

const keys = ['health', 'retry', 'timeouts', 'limits', 'logLevel', 'to'];

test('a slip of the keys finds the word that was meant', () => {
  assert.equal(nearest('helth', keys), 'health');
  assert.equal(nearest('haelth', keys), 'health');
  assert.equal(nearest('timeout', keys), 'timeouts');
  assert.equal(nearest('retries', keys), 'retry');
});

test('another way to join words is no difference', () => {
  assert.equal(nearest('log-level', keys), 'logLevel');
  assert.equal(nearest('LOG_LEVEL', keys), 'logLevel');
});

test('a word unlike all others finds nothing', () => {
  assert.equal(nearest('certificate', keys), undefined);
  assert.equal(nearest('x', keys), undefined);
  assert.equal(nearest('health', []), undefined);
});

test('a very long word costs no more than a long one', () => {
  assert.equal(nearest('h'.repeat(1_000_000), keys), undefined);
});
