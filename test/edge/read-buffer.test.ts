import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ownBytes, READ_BYTES, ReadBuffer } from '../../src/edge/read-buffer.ts';

/** What a socket does: the buffer for its next read, given the one of its last. */
function after(reading: ReadBuffer, last: Buffer, bytes: number, isBusy: boolean): Buffer {
  reading.used(bytes, isBusy);
  return reading.next() ?? last;
}

test('small answers and idle connections share one buffer, which is never lent', () => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const first = one.next()!;
  assert.equal(other.next(), first);
  assert.equal(one.current, first);
  assert.equal(one.lend(), undefined);
  assert.equal(after(one, first, 1_000, true), first);
  assert.equal(after(one, first, READ_BYTES, false), first);
});

test('a body that flows gets a buffer of its own until it ends', () => {
  const [one, other] = [new ReadBuffer(), new ReadBuffer()];
  const shared = one.next()!;
  other.next();
  const own = after(one, shared, READ_BYTES, true);
  const others = after(other, shared, READ_BYTES, true);
  assert.equal(new Set([shared, own, others]).size, 3);
  assert.equal(after(one, own, READ_BYTES, true), own);
  assert.equal(one.current, own);
  assert.equal(after(one, own, 100, true), shared);
  one.close();
  other.close();
});

test('lent bytes are not read into before they are given back, and then by the next who needs some', () => {
  const reading = new ReadBuffer();
  const own = after(reading, reading.next()!, READ_BYTES, true);
  const release = reading.lend()!;
  assert.equal(reading.lend(), undefined);
  const next = after(reading, own, READ_BYTES, true);
  assert.notEqual(next, own);
  reading.close();
  release();
  const later = new ReadBuffer();
  assert.equal(after(later, later.next()!, READ_BYTES, true), own);
  later.close();
});

test('bytes given back twice are not used by two', () => {
  const reading = new ReadBuffer();
  after(reading, reading.next()!, READ_BYTES, true);
  const release = reading.lend()!;
  release();
  release();
  const two = [new ReadBuffer(), new ReadBuffer()].map((one) =>
    after(one, one.next()!, READ_BYTES, true),
  );
  assert.notEqual(two[0], two[1]);
});

test('bytes that were read into memory of their own are always lent', () => {
  assert.equal(typeof ownBytes.lend(), 'function');
});

test('whatever connections do, no buffer of one’s own is read into by two or while it is lent', () => {
  const step = fc.record({
    who: fc.nat(3),
    what: fc.constantFrom('read', 'read', 'lend', 'release', 'close'),
    bytes: fc.constantFrom(1, READ_BYTES / 2, READ_BYTES),
    isBusy: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const shared = new ReadBuffer().next()!;
      const readings = [0, 1, 2, 3].map(() => new ReadBuffer());
      const buffers = readings.map((reading) => reading.next()!);
      const lent = new Map<() => void, Buffer>();
      for (const { who, what, bytes, isBusy } of steps) {
        const reading = readings[who]!;
        if (what === 'release') {
          const [release] = lent.keys();
          release?.();
          if (release !== undefined) lent.delete(release);
        } else if (what === 'close') {
          reading.close();
          buffers[who] = reading.next() ?? buffers[who]!;
        } else {
          // Lending is for within a read: what was read is what is lent.
          const release = what === 'lend' ? reading.lend() : undefined;
          if (release !== undefined) lent.set(release, buffers[who]!);
          buffers[who] = after(reading, buffers[who]!, bytes, isBusy);
        }
        const own = [...buffers, ...lent.values()].filter((buffer) => buffer !== shared);
        assert.equal(new Set(own).size, own.length);
        for (const [i, each] of readings.entries()) assert.equal(each.current, buffers[i]);
      }
      for (const reading of readings) reading.close();
      for (const release of lent.keys()) release();
    }),
  );
});
