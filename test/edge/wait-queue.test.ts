import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WaitQueue } from '../../src/edge/wait-queue.ts';

test('gives out in the order of arrival', () => {
  const queue = new WaitQueue<string>(3);
  queue.push('a', 10);
  queue.push('b', 10);
  assert.equal(queue.size, 2);
  assert.equal(queue.shift(), 'a');
  assert.equal(queue.shift(), 'b');
  assert.equal(queue.shift(), undefined);
  assert.equal(queue.size, 0);
});

test('refuses what exceeds its limit, and takes again once one has left', () => {
  const queue = new WaitQueue<string>(1);
  const handle = queue.push('a', 10);
  assert.ok(handle);
  assert.equal(queue.push('b', 10), undefined);
  assert.equal(queue.remove(handle), true);
  assert.ok(queue.push('c', 10));
  assert.equal(queue.shift(), 'c');
});

test('a queue of limit 0 is always full', () => {
  assert.equal(new WaitQueue(0).push('a', 1), undefined);
});

test('leaving twice, or after being given out, changes nothing', () => {
  const queue = new WaitQueue<string>(9);
  const a = queue.push('a', 10)!;
  const b = queue.push('b', 10)!;
  assert.equal(queue.shift(), 'a');
  assert.equal(queue.remove(a), false);
  assert.equal(queue.remove(b), true);
  assert.equal(queue.remove(b), false);
  assert.equal(new WaitQueue<string>(9).remove(b), false);
  assert.equal(queue.size, 0);
});

test('expires what is due, whatever the order of deadlines', () => {
  const queue = new WaitQueue<string>(9);
  queue.push('late', 30);
  queue.push('soon', 10);
  queue.push('middle', 20);
  assert.equal(queue.nextDeadlineMs(), 10);
  assert.deepEqual(queue.expire(20), ['soon', 'middle']);
  assert.equal(queue.nextDeadlineMs(), 30);
  assert.deepEqual(queue.expire(29), []);
  assert.equal(queue.shift(), 'late');
  assert.equal(queue.nextDeadlineMs(), undefined);
});

test('behaves like a plain array under any sequence of operations', () => {
  const operation = fc.oneof(
    fc.record({ type: fc.constant('push' as const), deadlineMs: fc.nat(50) }),
    fc.record({ type: fc.constant('shift' as const) }),
    fc.record({ type: fc.constant('expire' as const), nowMs: fc.nat(50) }),
    fc.record({ type: fc.constant('remove' as const), which: fc.nat(20) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const queue = new WaitQueue<number>(8);
      let model: { item: number; deadlineMs: number }[] = [];
      const handles: { item: number; handle: NonNullable<ReturnType<typeof queue.push>> }[] = [];
      let next = 0;
      for (const op of operations) {
        if (op.type === 'push') {
          const handle = queue.push(next, op.deadlineMs);
          assert.equal(handle !== undefined, model.length < 8);
          if (handle !== undefined) {
            model.push({ item: next, deadlineMs: op.deadlineMs });
            handles.push({ item: next, handle });
          }
          next += 1;
        } else if (op.type === 'shift') {
          assert.equal(queue.shift(), model.shift()?.item);
        } else if (op.type === 'expire') {
          const due = model.filter((entry) => entry.deadlineMs <= op.nowMs);
          model = model.filter((entry) => entry.deadlineMs > op.nowMs);
          assert.deepEqual(
            queue.expire(op.nowMs),
            due.map((entry) => entry.item),
          );
        } else {
          const chosen = handles[op.which % Math.max(1, handles.length)];
          if (chosen === undefined) continue;
          const isThere = model.some((entry) => entry.item === chosen.item);
          assert.equal(queue.remove(chosen.handle), isThere);
          model = model.filter((entry) => entry.item !== chosen.item);
        }
        assert.equal(queue.size, model.length);
        const earliest = model.map((entry) => entry.deadlineMs).toSorted((a, b) => a - b)[0];
        assert.equal(queue.nextDeadlineMs(), earliest);
      }
    }),
    { numRuns: 1_000 },
  );
});
