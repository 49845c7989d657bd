import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { orderOfRound, ratiosPerRound, remainingMs } from '../../bench/measure/rounds.ts';
import { quantile, spreadOf } from '../../bench/measure/statistics.ts';

describe('statistics of benchmarks', () => {
  test('the median of an even number of values lies between the two in the middle', () => {
    assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
    assert.equal(quantile([5], 0.5), 5);
    assert.equal(quantile([3, 1, 2], 0.5), 2);
  });

  test('quartiles are interpolated as spreadsheets do it', () => {
    assert.deepEqual(spreadOf([7, 15, 36, 39, 40, 41]), {
      count: 6,
      median: 37.5,
      min: 7,
      max: 41,
      q1: 20.25,
      q3: 39.75,
    });
  });

  test('nothing to average, a value that is no number and a share out of bounds are errors', () => {
    assert.throws(() => spreadOf([]), RangeError);
    assert.throws(() => spreadOf([1, Number.NaN]), RangeError);
    assert.throws(() => spreadOf([1, Number.POSITIVE_INFINITY]), RangeError);
    assert.throws(() => quantile([1], 1.5), RangeError);
    assert.throws(() => quantile([1], -0.1), RangeError);
    assert.throws(() => quantile([1], Number.NaN), RangeError);
  });

  test('a spread is in order, within its values and blind to their order', () => {
    const values = fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, (list) => {
        const spread = spreadOf(list);
        const { min, q1, median, q3, max } = spread;
        const ordered = [min, q1, median, q3, max];
        assert.deepEqual(
          ordered,
          ordered.toSorted((a, b) => a - b),
        );
        assert.equal(min, Math.min(...list));
        assert.equal(max, Math.max(...list));
        assert.deepEqual(spreadOf(list.toReversed()), spread);
      }),
    );
  });
});

describe('rounds', () => {
  test('the start moves on and every second round runs backwards', () => {
    const orders = [0, 1, 2, 3, 4, 5, 6].map((round) => orderOfRound(['a', 'b', 'c'], round));
    assert.deepEqual(
      orders.map((order) => order.join('')),
      ['abc', 'cba', 'bca', 'acb', 'cab', 'bac', 'abc'],
    );
    assert.deepEqual(orderOfRound([], 3), []);
  });

  test('every contender is measured once in every round', () => {
    const names = fc.uniqueArray(fc.string(), { maxLength: 8 });
    fc.assert(
      fc.property(names, fc.nat(100), (list, round) => {
        assert.deepEqual(orderOfRound(list, round).toSorted(), list.toSorted());
      }),
    );
  });

  test('a ratio compares values of one round, and rounds that lack one are left out', () => {
    assert.deepEqual(ratiosPerRound([2, 6, 9], [1, 2, 3]), [2, 3, 3]);
    assert.deepEqual(ratiosPerRound([2, undefined, 9, 4], [1, 2, undefined]), [2]);
    assert.deepEqual(ratiosPerRound([2, 4], [0, 2]), [2]);
  });

  test('the time left follows from the time spent', () => {
    assert.equal(remainingMs(0, 10, 500), undefined);
    assert.equal(remainingMs(2, 10, 500), 2_000);
    assert.equal(remainingMs(12, 10, 500), 0);
  });
});
