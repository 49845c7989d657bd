import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closeFrame1012, FrameCursor } from '../../src/edge/frame-cursor.ts';

/** A frame as RFC 6455, 5.2 draws it; the payload's bytes do not matter here. */
function frame(payloadBytes: number, isMasked: boolean): Buffer {
  const mask = isMasked ? 0x80 : 0;
  const head =
    payloadBytes < 126
      ? Buffer.from([0x82, mask | payloadBytes])
      : payloadBytes < 65_536
        ? Buffer.from([0x82, mask | 126, payloadBytes >> 8, payloadBytes & 0xff])
        : Buffer.alloc(10);
  if (payloadBytes >= 65_536) {
    head.set([0x82, mask | 127]);
    head.writeBigUInt64BE(BigInt(payloadBytes), 2);
  }
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0), Buffer.alloc(payloadBytes, 0xff)]);
}

const frames = fc.array(
  fc.record({
    payloadBytes: fc.oneof(
      fc.integer({ min: 0, max: 130 }),
      fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000),
    ),
    isMasked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

test('boundaries are found however the stream is cut', () => {
  fc.assert(
    fc.property(frames, cuts, (list, where) => {
      const parts = list.map(({ payloadBytes, isMasked }) => frame(payloadBytes, isMasked));
      const stream = Buffer.concat(parts);
      const ends = new Set<number>([0]);
      let end = 0;
      for (const part of parts) {
        end += part.length;
        ends.add(end);
      }
      const cutsAt = [...new Set(where.map((x) => Math.floor(x * stream.length)))].sort(
        (a, b) => a - b,
      );
      const cursor = new FrameCursor();
      let at = 0;
      for (const cut of [...cutsAt, stream.length]) {
        const chunk = stream.subarray(at, cut);
        cursor.advance(chunk, chunk.length);
        at = cut;
        assert.equal(cursor.atBoundary, ends.has(at), `at byte ${at}`);
      }
    }),
    { numRuns: 300 },
  );
});

test('a stop at the next boundary takes the rest of the current frame and no more', () => {
  fc.assert(
    fc.property(frames, fc.double({ min: 0, max: 0.999, noNaN: true }), (list, where) => {
      const parts = list.map(({ payloadBytes, isMasked }) => frame(payloadBytes, isMasked));
      const stream = Buffer.concat(parts);
      const split = Math.floor(where * stream.length);
      let nextEnd = 0;
      for (const part of parts) {
        if (nextEnd >= split) break;
        nextEnd += part.length;
      }
      const cursor = new FrameCursor();
      cursor.advance(stream.subarray(0, split), split);
      const rest = stream.subarray(split);
      assert.equal(cursor.advanceToBoundary(rest, rest.length), nextEnd - split);
      assert.ok(cursor.atBoundary);
    }),
    { numRuns: 300 },
  );
});

test('a head that is cut between its bytes is no boundary', () => {
  const cursor = new FrameCursor();
  const head = frame(70_000, true).subarray(0, 14);
  for (let i = 0; i < head.length; i++) {
    cursor.advance(head.subarray(i, i + 1), 1);
    assert.equal(cursor.atBoundary, false, `after byte ${i}`);
  }
});

test('the Close frame of a drain says 1012, without mask', () => {
  assert.equal(closeFrame1012.toString('hex'), '880203f4');
  const cursor = new FrameCursor();
  cursor.advance(closeFrame1012, closeFrame1012.length);
  assert.ok(cursor.atBoundary);
});
