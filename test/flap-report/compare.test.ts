import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compare, parseResult, renderComparison } from '../../bench/flap/report/report.ts';
import type { FlapResult, FlapRow } from '../../bench/flap/result.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { spreadOf } from '../../bench/measure/statistics.ts';
import { hostile, sample } from './results.ts';

/** The sample with its first row changed. */
function changed(row: Partial<FlapRow>): FlapResult {
  const result = sample();
  return { ...result, rows: result.rows.map((one, i) => (i === 0 ? { ...one, ...row } : one)) };
}

const gaps = (...values: number[]) => changed({ gapP99Ms: spreadOf(values) });
const transfers = (...values: number[]) => changed({ bytesPerS: spreadOf(values) });
const measures = (old: FlapResult, now: FlapResult) =>
  compare(old, now).regressions.map(({ measure }) => measure);

const refused = (text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BenchError);
  assert.equal(error.code, 'ERR_BENCH_USAGE');
  assert.match(error.message, text);
  return true;
};

test('a run is no regression of itself', () => {
  const { regressions, improvements, compared, missing } = compare(sample(), sample());
  assert.deepEqual([regressions, improvements, missing], [[], [], []]);
  assert.equal(compared, 6);
});

test('a single session less is a regression, whatever the spread', () => {
  const { started } = sample().rows[0]!.sessions;
  const sessions = { started, survived: started - 1, reset: 1, stalled: 0, corrupt: 0 };
  const worse = changed({ sessions });
  const { regressions } = compare(sample(), worse);
  assert.deepEqual(
    regressions.map(({ measure, old, new: now }) => [measure, old, now]),
    [['survived', '100 % (16 of 16)', '93.8 % (15 of 16)']],
  );
  assert.equal(compare(worse, sample()).regressions.length, 0);
  assert.equal(compare(worse, sample()).improvements.length, 1);
});

test('a client that cannot connect any more is a regression', () => {
  const [good, bad] = [4, 3].map((survived) => changed({ connects: { started: 4, survived } }));
  assert.deepEqual(measures(good!, bad!), ['connects']);
  assert.deepEqual(measures(bad!, good!), []);
});

test('gaps and rates count only beyond the spread of both runs', () => {
  assert.deepEqual(measures(gaps(20, 21, 22), gaps(40, 41, 42)), ['gapP99Ms']);
  assert.deepEqual(measures(gaps(20, 21, 30), gaps(29, 41, 42)), [], 'they overlap');
  assert.deepEqual(measures(gaps(10, 20, 30), gaps(31, 32, 33)), [], 'less than the old spread');
  assert.deepEqual(measures(gaps(20, 21, 22), gaps(23, 24, 40)), [], 'less than the new spread');
  assert.deepEqual(measures(gaps(20), gaps(90)), [], 'one repetition has no spread');
  assert.deepEqual(measures(gaps(20, 21), gaps(90, 91)), [], 'nor have two to speak of');
  assert.deepEqual(measures(transfers(10, 11, 12), transfers(5, 6, 7)), ['bytesPerS']);
  assert.deepEqual(measures(transfers(5, 6, 7), transfers(10, 11, 12)), []);
  assert.deepEqual(measures(gaps(40, 41, 42), gaps(20, 21, 22)), []);
});

test('differences that nobody would notice are none', () => {
  assert.deepEqual(measures(gaps(10, 10, 11), gaps(14, 14, 14)), [], 'less than 5 ms');
  assert.deepEqual(measures(gaps(200, 201, 202), gaps(215, 216, 217)), [], 'less than a tenth');
  assert.deepEqual(measures(gaps(10, 10, 11), gaps(16, 16, 17)), ['gapP99Ms']);
  assert.deepEqual(measures(transfers(100, 101, 102), transfers(93, 94, 95)), []);
});

test('what could be run before and failed now is a regression', () => {
  const now = sample();
  const [gone] = now.rows;
  const failure = { ...now.failures[0]!, ...gone!, repetition: 1, message: 'did not start' };
  const without = { ...now, rows: now.rows.slice(1) };
  assert.deepEqual(compare(sample(), without).regressions, [], 'left out on purpose');
  assert.equal(compare(sample(), without).missing.length, 1);
  const [regression] = compare(sample(), { ...without, failures: [failure] }).regressions;
  assert.equal(regression?.new, 'no result');
});

test('runs of another suite, seed or family are refused in words', () => {
  const old = sample();
  assert.throws(
    () => compare(old, { ...old, suite: 'full' }),
    refused(/suite quick, the new one full/),
  );
  assert.throws(() => compare(old, { ...old, seed: 2 }), refused(/seed 1, the new one 2/));
  const six = { ...old, rows: old.rows.map((row) => ({ ...row, family: 6 as const })) };
  assert.throws(() => compare(old, six), refused(/IP version IPv4, the new one IPv6/));
  const other = { ...old, rows: old.rows.map((row) => ({ ...row, contender: 'other' })) };
  assert.throws(() => compare(old, other), refused(/nothing to compare/));
});

test('a comparison in words ends with how it came out', () => {
  const good = renderComparison(compare(sample(), sample()));
  assert.equal(good.at(-1), 'No regression: 6 rows compared.');
  const bad = renderComparison(compare(gaps(20, 20, 21), gaps(40, 40, 41)));
  assert.equal(bad.at(-1), '1 regression: 6 rows compared.');
  const both = changed({ gapP99Ms: spreadOf([90, 90, 91]), gapMaxMs: spreadOf([95, 95, 96]) });
  const calm = changed({ gapP99Ms: spreadOf([20, 20, 21]), gapMaxMs: spreadOf([25, 25, 26]) });
  const two = renderComparison(compare(calm, both));
  assert.equal(two.filter((line) => line.includes(', IPv4')).length, 1, 'named once');
  assert.ok(bad.some((line) => line.includes('gap p99, ms: 20 (20–21) → 40 (40–41)')));
  for (const line of [...good, ...bad]) assert.ok([...line].length <= 80, line);
  const evil = hostile('\u001b[2J\u009bevil');
  const lines = renderComparison(compare(evil, { ...evil, rows: evil.rows.slice(1) }));
  assert.doesNotMatch(lines.join(''), /[\u0000-\u001f\u007f-\u009f]/);
});

test('a file that is no result is refused with its name and what is wrong', () => {
  const good = JSON.stringify(sample());
  assert.equal(parseResult(good, 'x').rows.length, 6);
  const refuses = (text: string, why: RegExp) =>
    assert.throws(() => parseResult(text, 'old.json'), refused(why));
  refuses('', /^old\.json is no result .*not JSON/);
  refuses('[]', /no object/);
  refuses('{}', /format is missing/);
  refuses(
    good.replace('holdfast-flap/1', 'holdfast-flap/9'),
    /"holdfast-flap\/9".*"holdfast-flap\/1"/,
  );
  refuses(good.replace('"median":100', '"median":"x"'), /rows|median|survived/);
  refuses(JSON.stringify({ ...sample(), rows: [{}] }), /rows\.0\./);
});

test('nothing but a result comes out of damaged files', () => {
  const good = JSON.stringify(sample());
  fc.assert(
    fc.property(
      fc.nat(good.length - 1),
      fc.nat(60),
      fc.string({ maxLength: 6 }),
      (at, cut, put) => {
        const text = good.slice(0, at) + put + good.slice(at + cut);
        try {
          const result = parseResult(text, 'old.json');
          compare(result, result);
        } catch (error) {
          assert.ok(error instanceof BenchError, String(error));
        }
      },
    ),
    { numRuns: 150 },
  );
});
