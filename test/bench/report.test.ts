import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  resultRows,
  type ScenarioRun,
  short,
  summarize,
  targetLine,
} from '../../bench/measure/report.ts';

const sample = (value: number, failed = 0) => ({
  value,
  served: 100,
  failed,
  busyShare: 0.5,
  perSecond: 1_000 / value,
});

const run: ScenarioRun = {
  name: 'http-1k',
  about: 'small answers',
  unit: 'µs CPU/request',
  bases: ['nginx', 'gone'],
  targets: [
    { contender: 'ours', base: 'nginx', atMost: 2.3 },
    { contender: 'ours', base: 'gone', atMost: 1 },
    { contender: 'ours', base: null, atMost: 25 },
  ],
  contenders: [
    { name: 'nginx', samples: [sample(10), sample(20), sample(40)] },
    { name: 'ours', samples: [sample(20), sample(60), sample(44, 3)] },
  ],
  absent: [{ name: 'gone', reason: 'not installed' }],
};

describe('benchmark report', () => {
  test('ratios are made round by round, not from the medians', () => {
    const ours = summarize(run).contenders[1]!;
    // 20/10, 60/20, 44/40: the median is 2. The ratio of the medians, 44/20, would be 2.2.
    assert.deepEqual(ours.ratios.nginx, {
      count: 3,
      median: 2,
      min: 1.1,
      max: 3,
      q1: 1.55,
      q3: 2.5,
    });
    assert.equal(ours.value.median, 44);
    assert.equal(ours.served, 300);
    assert.equal(ours.failed, 3);
    assert.equal(ours.ratios.gone, undefined);
  });

  test('targets stand beside what was measured, also when nothing was', () => {
    const { targets } = summarize(run);
    assert.equal(targets[0]?.measured?.median, 2);
    assert.equal(targets[1]?.measured, null);
    assert.equal(targets[2]?.measured?.median, 44);
    assert.deepEqual(
      targets.map((target) => targetLine(target, run.unit)),
      [
        'ours: 2.00 (1.55–2.50) × nginx; target: at most 2.3',
        'ours: not measured × gone; target: at most 1',
        'ours: 44.0 (32.0–52.0) µs CPU/request; target: at most 25',
      ],
    );
  });

  test('the table has a column for each base that was measured', () => {
    assert.deepEqual(resultRows(summarize(run)), [
      ['', 'µs CPU/request', '× nginx', 'per second', 'CPU busy', 'served', 'failed'],
      ['nginx', '20.0 (15.0–30.0)', '1', '50.0', '50 %', '300', '0'],
      ['ours', '44.0 (32.0–52.0)', '2.00 (1.55–2.50)', '22.7', '50 %', '300', '3'],
    ]);
  });

  test('where time says nothing, no rate is shown', () => {
    const still: ScenarioRun = {
      ...run,
      bases: [],
      targets: [],
      contenders: [{ name: 'ours', samples: [{ value: 8_127, served: 9_750, failed: 0 }] }],
    };
    assert.deepEqual(resultRows(summarize(still)), [
      ['', 'µs CPU/request', 'served', 'failed'],
      ['ours', '8\u202f127 (8\u202f127–8\u202f127)', '9\u202f750', '0'],
    ]);
  });

  test('a contender that was never measured is an error, not a zero', () => {
    const broken = { ...run, contenders: [{ name: 'ours', samples: [] }] };
    assert.throws(() => summarize(broken), RangeError);
  });

  test('numbers show the digits that matter', () => {
    assert.deepEqual([0.6517, 17.94, 52_614, 1_234_567].map(short), [
      '0.65',
      '17.9',
      '52\u202f614',
      '1\u202f234\u202f567',
    ]);
  });
});
