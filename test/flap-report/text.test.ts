import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { survivedText } from '../../bench/flap/report/figures.ts';
import { renderCsv, renderTable } from '../../bench/flap/report/report.ts';
import {
  percentiles,
  pointsPerSeries,
  thinned,
  timeline,
  valueAt,
} from '../../bench/flap/report/series.ts';
import { hostile, large, sample } from './results.ts';

/** RFC 4180, for checking. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g,
  )) {
    row.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '\r\n') {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

test('the table tells survival, numbers and failures within 80 columns', () => {
  const lines = renderTable(sample());
  for (const line of lines) assert.ok([...line].length <= 80, line);
  const text = lines.join('\n');
  assert.match(text, /with the agent 64 of 64 sessions\s+survived, without it 0 of 32/);
  assert.match(text, /single-flip +100 % +0 % +100 %/);
  assert.match(text, /nginx on pop-b ended/);
  assert.match(text, /not complete: 12 of 14 runs/);
});

test('with many servers the table of survival is split, and each family has its own', () => {
  const lines = renderTable(large());
  for (const line of lines) assert.ok([...line].length <= 80, line);
  assert.ok(lines.filter((line) => line.startsWith('IPv6 ')).length >= 2);
});

test('no text from outside reaches the terminal as a command', () => {
  const text = renderTable(hostile('\u001b[2J\u009b31m\u0007evil\r\n\u202e')).join('\n');
  assert.match(text, /evil/);
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

test('CSV has one line per run and a head, and any text comes back as it was', () => {
  const rows = parseCsv(renderCsv(sample()));
  const [head, ...runs] = rows;
  assert.equal(runs.length, 13);
  for (const run of rows) assert.equal(run.length, head!.length);
  const column = (run: string[], name: string) => run[head!.indexOf(name)];
  assert.equal(column(runs[0]!, 'sessions_survived'), '8');
  assert.equal(column(runs[1]!, 'gap_p99_ms'), '', 'not measured is not zero');
  assert.match(column(runs[12]!, 'failure')!, /ended/);
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
      const [again, first, ...others] = parseCsv(renderCsv(hostile(`t${text}`)));
      assert.equal(others.length, 12);
      assert.equal(first![again!.indexOf('scenario')], `t${text}`);
    }),
    { numRuns: 200 },
  );
});

test('a spreadsheet takes no text from outside for a formula', () => {
  for (const text of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1']) {
    const [head, first] = parseCsv(renderCsv(hostile(text)));
    assert.equal(first![head!.indexOf('scenario')], `'${text}`);
  }
});

test('survival is 100 % only when all survived, and 0 % only when none did', () => {
  assert.equal(survivedText(10_000, 10_000), '100 %');
  assert.equal(survivedText(99_999, 100_000), '99.99 %');
  assert.equal(survivedText(1, 100_000), '0.01 %');
  assert.equal(survivedText(0, 5), '0 %');
  assert.equal(survivedText(0, 0), '–');
});

test('percentiles are those of the values, and end where the values do', () => {
  const buckets = Array.from({ length: 100 }, (_, i) => [i + 1, 1] as const);
  assert.equal(valueAt(buckets, 50), 51);
  const { nines, values } = percentiles([buckets, [[7, 3]], []]);
  const at = (nine: number) => values[0]![nines.indexOf(nine)];
  assert.deepEqual([values[0]![0], at(1), at(2)], [51, 91, 100]);
  assert.equal(10 ** nines[0]!, 2, 'from the median on');
  assert.equal(nines.at(-1), 2, 'a hundred values know no 99.9th percentile');
  assert.equal(values[1]!.at(-1), null, 'three values know no 99th');
  assert.ok(values[2]!.every((value) => value === null));
});

test('thinned series keep their mean and never exceed their share', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 500 }),
      fc.integer({ min: 1, max: 300 }),
      (values, points) => {
        const thin = thinned(values, points);
        assert.ok(thin.length <= points);
        const [least, most] = [Math.min(...values), Math.max(...values)];
        for (const value of thin) assert.ok(value >= least * 0.99 && value <= most * 1.01);
      },
    ),
    { numRuns: 200 },
  );
  assert.equal(pointsPerSeries(1), 300);
  assert.ok(pointsPerSeries(2_000) * 2_000 <= 150_000);
});

test('a timeline is the mean of the repetitions, on one scale for all series', () => {
  const [cell] = sample().cells;
  const run = (bytesPerS: number[]) => ({
    ...cell!,
    throughput: { bucketMs: 100, bytesPerS, messagesPerS: [] },
  });
  const series = [[run([10, 20, 30, 40]), run([30, 40, 50, 60])], [run([5, 5])]];
  const { seconds, values } = timeline(series, ({ bytesPerS }) => bytesPerS, 300);
  assert.deepEqual(seconds, [0.05, 0.15, 0.25, 0.35]);
  assert.deepEqual(values, [
    [20, 30, 40, 50],
    [5, 5, null, null],
  ]);
});
