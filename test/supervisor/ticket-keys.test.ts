import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeTicketKeys } from '../../src/supervisor/ticket-keys.ts';

const key = (byte: number) => new Uint8Array(48).fill(byte);
const first = ({ all }: NodeTicketKeys) => all.map((each) => each[0]);

test('a node seals with its own key until the mesh tells one, and goes on opening what it sealed', () => {
  const keys = new NodeTicketKeys(key(1));
  assert.deepEqual(first(keys), [1]);
  keys.replace([]);
  assert.deepEqual(first(keys), [1]);
  keys.replace([key(10)]);
  assert.deepEqual(first(keys), [10, 1]);
  // The next one is told, comes into use, and the agent starts anew with keys that it just made.
  keys.replace([key(10), key(11)]);
  assert.deepEqual(first(keys), [10, 11, 1]);
  keys.replace([key(11), key(10)]);
  assert.deepEqual(first(keys), [11, 10, 1]);
  keys.replace([key(20)]);
  assert.deepEqual(first(keys), [20, 11, 10, 1]);
});

test('the oldest keys make room', () => {
  const keys = new NodeTicketKeys(key(0));
  for (let byte = 1; byte <= 20; byte += 1) keys.replace([key(byte), key(byte - 1)]);
  assert.deepEqual(first(keys), [20, 19, 18, 17]);
});
