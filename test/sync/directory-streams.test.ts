import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowKey } from '../../bench/mesh/flow.ts';
import { readFrame } from '../../src/proto/ticket-frame.ts';
import { IN_STREAM_TIMES, InStream } from '../../src/sync/directory/in-stream.ts';
import { OUT_STREAM_LIMITS, OutStream } from '../../src/sync/directory/out-stream.ts';
import { Pace } from '../../src/sync/pace.ts';

const frame = (sequence: number, repeats = false) => ({
  stream: 1,
  sequence,
  at: 0,
  repeatedAt: repeats ? 1 : -1,
});

function inStream(): InStream {
  const stream = new InStream(IN_STREAM_TIMES);
  stream.adopt(1);
  return stream;
}

test('a frame of a stream that was replaced is not taken for one of the new stream', () => {
  const stream = inStream();
  assert.equal(stream.adopt(5), true);
  stream.accept(0, frame(1));
  assert.equal(stream.adopt(4), false);
  assert.equal(stream.complete, 1);
  assert.equal(stream.adopt(6), true);
  assert.equal(stream.complete, 0);
});

test('each part of a frame is applied once, whatever comes twice or late', () => {
  const stream = inStream();
  assert.deepEqual(stream.accept(0, frame(1)), { own: true, repeated: false });
  assert.deepEqual(stream.accept(0, frame(3, true)), { own: true, repeated: true });
  assert.deepEqual(stream.accept(0, frame(2, true)), { own: false, repeated: false });
  assert.deepEqual(stream.accept(0, frame(3)), { own: false, repeated: false });
  assert.deepEqual(stream.accept(0, frame(6)), { own: true, repeated: false });
  assert.deepEqual(stream.accept(0, frame(5, true)), { own: true, repeated: true });
  assert.equal(stream.complete, 6);
  assert.deepEqual(stream.accept(0, frame(6 + 4_096)), { own: false, repeated: false });
});

test('while a frame is missing, no flow that ended comes back, nor one that it had replaced', () => {
  const stream = inStream();
  stream.accept(0, frame(3));
  stream.ended(flowKey(1), 7);
  stream.ended(flowKey(1), 5);
  assert.equal(stream.endedBefore(flowKey(1), 7), true);
  assert.equal(stream.endedBefore(flowKey(1), 6), true);
  assert.equal(stream.endedBefore(flowKey(1), 8), false);
  assert.equal(stream.endedBefore(flowKey(2), 6), false);
  stream.accept(0, frame(2, true));
  stream.settle();
  assert.equal(stream.endedBefore(flowKey(1), 6), false);
});

test('an acknowledgement names what is missing, and asks again ever more slowly', () => {
  const stream = inStream();
  for (const sequence of [1, 2, 5, 6, 9]) stream.accept(100, frame(sequence));
  assert.equal(stream.ackAtMs, 102);
  assert.deepEqual(stream.takeAck(102), {
    stream: 1,
    complete: 2,
    missingTo: 9,
    ranges: [
      [5, 6],
      [9, 9],
    ],
  });
  const waits: number[] = [];
  for (let nowMs = stream.ackAtMs, i = 0; i < 8; i++) {
    stream.takeAck(nowMs);
    waits.push(stream.ackAtMs - nowMs);
    nowMs = stream.ackAtMs;
  }
  assert.deepEqual(waits, [40, 80, 160, 320, 640, 640, 640, 640]);
});

test('frames that came in order are confirmed after 20 ms, or at once after 32 of them', () => {
  const stream = inStream();
  stream.accept(0, frame(1));
  assert.equal(stream.ackAtMs, 20);
  for (let sequence = 2; sequence <= 32; sequence++) stream.accept(3, frame(sequence));
  assert.equal(stream.ackAtMs, 3);
  assert.deepEqual(stream.takeAck(3), { stream: 1, complete: 32, missingTo: 32, ranges: [] });
  assert.equal(stream.ackAtMs, Number.POSITIVE_INFINITY);
});

test('a silent home is sent its frames again with growing patience, and a stall is no silence', () => {
  const sent: { atMs: number; sequence: number }[] = [];
  let nowMs = 0;
  const stream = new OutStream(1, OUT_STREAM_LIMITS, (bytes) => {
    sent.push({ atMs: nowMs, sequence: readFrame(bytes)!.sequence });
  });
  stream.add(0, false, 1, flowKey(1), 1);
  const runUntil = (untilMs: number): void => {
    for (;;) {
      const nextMs = stream.nextWakeupMs(10);
      if (nextMs > untilMs) break;
      nowMs = Math.max(nowMs, nextMs);
      stream.service(nowMs, 10);
    }
    nowMs = untilMs;
  };
  runUntil(1_000);
  assert.deepEqual(
    sent.map(({ atMs }) => atMs),
    [5, 10, 70, 190, 430, 910],
  );
  stream.postpone(5_000);
  runUntil(5_900);
  assert.equal(sent.length, 6);
  stream.acknowledge(nowMs, { stream: 1, complete: 1, missingTo: 1, ranges: [] }, 10);
  assert.equal(stream.nextWakeupMs(10), Number.POSITIVE_INFINITY);
  assert.equal(stream.windowBytes, 0);
});

test('an acknowledgement of frames that were never sent changes nothing', () => {
  const stream = new OutStream(1, OUT_STREAM_LIMITS, () => {});
  stream.add(0, false, 1, flowKey(1), 1);
  stream.flush(0);
  const before = stream.windowBytes;
  stream.acknowledge(1, { stream: 1, complete: 2, missingTo: 2, ranges: [] }, 10);
  stream.acknowledge(1, { stream: 1, complete: 0, missingTo: 9, ranges: [[1, 9]] }, 10);
  assert.equal(stream.windowBytes, before);
});

test('new frames leave in bursts, so that a flood of tickets does not overrun the socket', () => {
  let frames = 0;
  const stream = new OutStream(1, OUT_STREAM_LIMITS, () => frames++);
  for (let n = 0; n < 3_000; n++) stream.add(0, false, 1, flowKey(n), 1);
  assert.equal(frames, 32);
  assert.equal(stream.nextWakeupMs(10), 5);
  stream.service(5, 10);
  assert.equal(frames, 64);
});

test('a token bucket gives its burst, then its rate', () => {
  const pace = new Pace(100, 10);
  assert.equal(pace.take(0, 10), true);
  assert.equal(pace.take(0, 1), false);
  assert.equal(pace.take(50, 5), true);
  assert.equal(pace.take(50, 1), false);
  pace.spend(60, 20);
  assert.equal(pace.open(200), false);
  assert.equal(pace.open(260), true);
});
