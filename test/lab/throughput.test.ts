import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { portions, together } from '../../bench/lab/clients/client.ts';
import { parseProgramUsage, sumCosts } from '../../bench/lab/healing/cost.ts';
import { Activity } from '../../bench/lab/measure/activity.ts';
import { addedRttMs } from '../../bench/lab/measure/detour.ts';
import { histogramOf } from '../../bench/lab/measure/histogram.ts';
import { Ledger, type SessionRecord } from '../../bench/lab/measure/ledger.ts';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

test('what came between two reports is spread over the time between them', () => {
  const activity = new Activity();
  activity.carried('bytes', 1_000, 1_399, 400);
  activity.carried('messages', 1_250, 1_250, 3);
  const { bucketMs, bytesPerS, messagesPerS } = activity.throughput(1_000, 500);
  assert.equal(bucketMs, 100);
  assert.deepEqual(bytesPerS, [1_000, 1_000, 1_000, 1_000, 0]);
  assert.deepEqual(messagesPerS, [0, 0, 30, 0, 0]);
});

test('progress after a long silence is not spread over all of it', () => {
  const activity = new Activity();
  activity.carried('bytes', 0, 9_950, 1_600);
  const { bytesPerS } = activity.throughput(0, 10_000);
  assert.ok(bytesPerS.slice(0, 84).every((rate) => rate === 0));
  assert.equal(sum(bytesPerS) / 10, 1_600);
});

test('bytes are counted from the progress of transfers, messages from echoes and events', () => {
  const ledger = new Ledger();
  ledger.expect('download', ['download-1']);
  ledger.expect('sse', ['sse-1']);
  ledger.expect('websocket', ['websocket-1']);
  const progress = (session: string, atMs: number, done: number) =>
    ledger.accept({ type: 'progress', session, atMs, done, total: 1_000 });
  ledger.accept({ type: 'start', session: 'download-1', atMs: 0 });
  progress('download-1', 50, 400);
  progress('websocket-1', 50, 1);
  progress('sse-1', 60, 7);
  ledger.accept({ type: 'echoes', session: 'websocket-1', atMs: [20, 120], rttMs: [1, 1] });
  ledger.accept({ type: 'end', session: 'download-1', atMs: 150, how: 'complete', detail: '' });
  const { bytesPerS, messagesPerS } = ledger.activity.throughput(0, 200);
  assert.equal(sum(bytesPerS) / 10, 1_000);
  assert.equal(sum(messagesPerS) / 10, 9);
});

test('a histogram knows its values to two digits and counts each of them once', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 100_000, noNaN: true })), (values) => {
      const { count, min, max, p50, buckets } = histogramOf(values);
      assert.equal(count, values.length);
      assert.equal(sum(buckets.map(([, n]) => n)), values.length);
      if (values.length === 0) return;
      const exact = values.map((value) => Math.round(value * 1_000) / 1_000).sort((a, b) => a - b);
      assert.deepEqual([min, max], [exact[0], exact.at(-1)]);
      const median = exact[Math.ceil(exact.length / 2) - 1]!;
      assert.ok(Math.abs(p50! - median) <= median * 0.02 + 0.001, `${p50} is not ${median}`);
      const edges = buckets.map(([edge]) => edge);
      assert.deepEqual(
        edges,
        [...new Set(edges)].sort((a, b) => a - b),
      );
    }),
  );
});

test('nothing measured is null, not zero', () => {
  const { count, p99, max, buckets } = histogramOf([]);
  assert.deepEqual([count, p99, max, buckets], [0, null, null, []]);
});

const echoes = (echoAtMs: number[], rttMs: number[]): SessionRecord => ({
  name: 'websocket-1',
  kind: 'websocket',
  startedAtMs: 0,
  progressAtMs: undefined,
  done: 0,
  total: 0,
  end: undefined,
  echoAtMs,
  rttMs,
  reconnects: [],
});
const flip = (atMs: number, to: string) => ({ atMs, from: 'pop-a', to, convergenceMs: 5 });

test('the detour costs what echoes take longer while the route leads elsewhere', () => {
  const session = echoes([10, 20, 130, 150, 320, 340], [2, 2, 32, 30, 2, 2]);
  assert.equal(addedRttMs([session], [flip(50, 'pop-b')], 0), 14);
  assert.equal(addedRttMs([session], [flip(50, 'pop-b'), flip(200, 'pop-a')], 0), 29);
});

test('an echo that was under way when the route moved says nothing about either way', () => {
  const session = echoes([10, 60, 110], [2, 30, 12]);
  assert.equal(addedRttMs([session], [flip(50, 'pop-b')], 0), 10);
});

test('without a flip, or without echoes on one of the ways, no cost is known', () => {
  assert.equal(addedRttMs([echoes([10], [1])], [], 0), null);
  assert.equal(addedRttMs([echoes([10], [1])], [flip(50, 'pop-b')], 0), null);
});

test('the time of a program in the kernel is read from its descriptor, and of nothing else', () => {
  const text = 'pos:\t0\nprog_type:\t3\nprog_id:\t17\nrun_time_ns:\t4200\nrun_cnt:\t7\n';
  assert.deepEqual(parseProgramUsage(text), { id: 17, runNs: 4_200, runs: 7 });
  assert.equal(parseProgramUsage('pos:\t0\nflags:\t02\n'), undefined);
  fc.assert(fc.property(fc.string(), (any) => void parseProgramUsage(any)));
});

test('what healing cost is the difference of two readings, unknown where one of them is', () => {
  const cost = (programsCpuMs: number | null, programRuns: number | null, agentsCpuMs: number) => ({
    programsCpuMs,
    programRuns,
    agentsCpuMs,
  });
  assert.deepEqual(
    sumCosts([cost(1, 10, 5), cost(2, 20, 5)], [cost(2, 15, 9), cost(4, 25, 6)]),
    cost(3, 10, 5),
  );
  assert.deepEqual(sumCosts([cost(null, null, 5)], [cost(2, 15, 9)]), cost(null, null, 4));
  // One agent was replaced meanwhile: what the new ones spent is known at least.
  assert.deepEqual(sumCosts([cost(9, 90, 50)], [cost(2, 15, 9)]), cost(2, 15, 9));
  assert.equal(sumCosts([], []), undefined);
});

test('sessions are shared out to processes evenly, none lost', () => {
  const names = Array.from({ length: 1_001 }, (_, index) => index);
  const shared = portions(names, 500);
  assert.deepEqual(
    shared.map((part) => part.length),
    [334, 334, 333],
  );
  assert.deepEqual(shared.flat(), names);
  assert.deepEqual(portions([1], 500), [[1]]);
});

test('several runs are stopped, spoken to and waited for as one', async () => {
  const said: string[] = [];
  const run = (name: string, silent: boolean) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      finished: promise,
      stop: () => {
        said.push(`${name} stops`);
        resolve();
      },
      ...(silent ? { speak: () => void said.push(`${name} speaks`) } : {}),
    };
  };
  const all = together([run('a', true), run('b', false)]);
  all.speak?.();
  all.stop();
  await all.finished;
  assert.deepEqual(said, ['a speaks', 'a stops', 'b stops']);
  assert.equal(together([run('c', false)]).speak, undefined);
});
