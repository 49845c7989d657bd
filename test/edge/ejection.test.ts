import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOrigin } from '../../src/config/origin.ts';
import { Ejection } from '../../src/edge/ejection.ts';
import { OriginState } from '../../src/edge/origin-state.ts';

const CONFIG = { failures: 3, baseMs: 1_000, maxMs: 8_000 };

function originsOf(count: number): OriginState[] {
  return Array.from({ length: count }, (_, i) => new OriginState(parseOrigin(`o${i}:80`), i));
}

function failTimes(
  ejection: Ejection,
  origins: OriginState[],
  times: number,
  nowMs: number,
): boolean[] {
  return Array.from({ length: times }, () => ejection.failed(origins[0]!, origins, nowMs));
}

test('so many failures in a row eject for the base time', () => {
  const origins = originsOf(2);
  const ejection = new Ejection(CONFIG);
  assert.deepEqual(failTimes(ejection, origins, 3, 5), [false, false, true]);
  assert.equal(origins[0]!.isEjected(1_004), true);
  assert.equal(origins[0]!.isEjected(1_005), false);
  assert.equal(origins[0]!.ejections, 1);
});

test('a success in between starts the count anew', () => {
  const origins = originsOf(2);
  const ejection = new Ejection(CONFIG);
  failTimes(ejection, origins, 2, 0);
  ejection.succeeded(origins[0]!);
  assert.deepEqual(failTimes(ejection, origins, 2, 0), [false, false]);
});

test('0 failures means off', () => {
  const origins = originsOf(4);
  const ejection = new Ejection({ ...CONFIG, failures: 0 });
  assert.ok(!failTimes(ejection, origins, 50, 0).includes(true));
  assert.equal(origins[0]!.failures, 50);
});

test('failures of what was under way when it was ejected do not lengthen the ejection', () => {
  const origins = originsOf(2);
  const ejection = new Ejection(CONFIG);
  failTimes(ejection, origins, 3, 0);
  assert.ok(!failTimes(ejection, origins, 20, 500).includes(true));
  assert.equal(origins[0]!.ejectedUntilMs, 1_000);
});

test('when it comes back, its first failure ejects it for twice as long, up to the longest', () => {
  const origins = originsOf(2);
  const ejection = new Ejection(CONFIG);
  failTimes(ejection, origins, 3, 0);
  const lengths: number[] = [];
  for (let i = 0; i < 5; i++) {
    const nowMs = origins[0]!.ejectedUntilMs;
    assert.equal(ejection.failed(origins[0]!, origins, nowMs), true);
    lengths.push(origins[0]!.ejectedUntilMs - nowMs);
  }
  assert.deepEqual(lengths, [2_000, 4_000, 8_000, 8_000, 8_000]);
});

test('one doubling is forgiven for each time as long as the last ejection in good service', () => {
  const lengthAfter = (quietMs: number, answers: boolean): number => {
    const origins = originsOf(2);
    const ejection = new Ejection(CONFIG);
    ejection.succeeded(origins[0]!);
    failTimes(ejection, origins, 3, 0);
    failTimes(ejection, origins, 1, 1_000);
    failTimes(ejection, origins, 1, 3_000);
    const backMs = origins[0]!.ejectedUntilMs;
    assert.equal(backMs, 7_000);
    if (answers) ejection.succeeded(origins[0]!);
    const nowMs = backMs + quietMs;
    while (!ejection.failed(origins[0]!, origins, nowMs));
    return origins[0]!.ejectedUntilMs - nowMs;
  };
  assert.equal(lengthAfter(0, true), 8_000);
  assert.equal(lengthAfter(4_000, true), 4_000);
  assert.equal(lengthAfter(8_000, true), 2_000);
  assert.equal(lengthAfter(12_000, true), 1_000);
  assert.equal(lengthAfter(1e12, true), 1_000);
  assert.equal(lengthAfter(1e12, false), 8_000, 'without an answer nothing is proven');
});

test('never more than half are out: a single origin never, one of three', () => {
  for (const [count, most] of [
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
  ] as const) {
    const origins = originsOf(count);
    const ejection = new Ejection(CONFIG);
    for (let round = 0; round < 10; round++) {
      for (const origin of origins) ejection.failed(origin, origins, 0);
    }
    assert.equal(origins.filter((origin) => origin.isEjected(0)).length, most);
  }
});

test('origins that active checks found unhealthy count toward that half', () => {
  const origins = originsOf(4);
  origins[1]!.healthy = false;
  origins[2]!.healthy = false;
  const ejection = new Ejection(CONFIG);
  assert.ok(!failTimes(ejection, origins, 10, 0).includes(true));
  origins[2]!.healthy = true;
  assert.equal(ejection.failed(origins[0]!, origins, 0), true);
});
