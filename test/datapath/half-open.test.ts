import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HalfOpenTickets } from '../../src/datapath/half-open.ts';

const key = (n: number) => new Uint32Array(9).fill(n);

function collector(options = {}) {
  const ended: [number, number, number][] = [];
  const tickets = new HalfOpenTickets(
    (given, bucket, generation) => ended.push([given[0]!, bucket, generation]),
    options,
  );
  return { ended, tickets };
}

test('a handshake that is not completed in time ends its ticket', () => {
  const { ended, tickets } = collector({ waitMs: 100 });
  tickets.born(0, key(1), 11, 1);
  tickets.born(50, key(2), 12, 2);
  tickets.expire(99);
  assert.deepEqual(ended, []);
  tickets.expire(100);
  assert.deepEqual(ended, [[1, 11, 1]]);
  tickets.expire(1_000);
  assert.deepEqual(ended, [
    [1, 11, 1],
    [2, 12, 2],
  ]);
  assert.equal(tickets.size, 0);
});

test('a completed or closed connection is left alone', () => {
  const { ended, tickets } = collector({ waitMs: 100 });
  tickets.born(0, key(1), 11, 1);
  tickets.settled(1);
  tickets.settled(77);
  tickets.expire(1_000);
  assert.deepEqual(ended, []);
});

test('a flood of handshakes ends the oldest early and stays within its bound', () => {
  const { ended, tickets } = collector({ waitMs: 100, most: 3 });
  for (let n = 1; n <= 5; n++) tickets.born(0, key(n), n, n);
  assert.equal(tickets.size, 3);
  assert.deepEqual(
    ended.map(([, , generation]) => generation),
    [1, 2],
  );
});

test('the key may be reused by the caller', () => {
  const { ended, tickets } = collector({ waitMs: 1 });
  const reused = key(5);
  tickets.born(0, reused, 1, 1);
  reused.fill(9);
  tickets.expire(1);
  assert.equal(ended[0]![0], 5);
});
