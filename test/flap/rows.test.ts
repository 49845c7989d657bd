import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { FlapCell, FlapResult } from '../../bench/flap/result.ts';
import { rowsOf } from '../../bench/flap/rows.ts';

const sample = JSON.parse(
  readFileSync(new URL('sample.json', import.meta.url), 'utf8'),
) as FlapResult;
const [cell] = sample.cells as [FlapCell];
const counts = (started: number, survived: number) => ({
  started,
  survived,
  reset: started - survived,
  stalled: 0,
  corrupt: 0,
});

test('repetitions are summed, and their spread is kept', () => {
  const cells = [4, 2, 3].map(
    (survived, index): FlapCell => ({
      ...cell,
      repetition: index + 1,
      sessions: counts(4, survived),
      complaints: survived === 4 ? [] : ['lost some'],
    }),
  );
  const [row, ...others] = rowsOf(cells);
  assert.deepEqual(others, []);
  assert.equal(row?.repetitions, 3);
  assert.deepEqual(row?.sessions, counts(12, 9));
  assert.deepEqual(
    [row?.survivedPercent.median, row?.survivedPercent.min, row?.survivedPercent.max],
    [75, 50, 100],
  );
  assert.deepEqual(row?.complaints, ['lost some']);
});

test('contenders, scenarios and families are kept apart', () => {
  const cells: FlapCell[] = [
    cell,
    { ...cell, family: 6 },
    { ...cell, contender: 'other' },
    { ...cell, scenario: 'other' },
    { ...cell, repetition: 2 },
  ];
  assert.deepEqual(
    rowsOf(cells).map((row) => row.repetitions),
    [2, 1, 1, 1],
  );
});

test('new connections are counted beside the sessions', () => {
  const kinds = { websocket: counts(4, 4), connect: counts(2, 1) };
  const [row] = rowsOf([
    { ...cell, kinds },
    { ...cell, kinds: { websocket: counts(4, 4) } },
  ]);
  assert.deepEqual(row?.connects, { started: 2, survived: 1 });
});

test('what was not measured in any repetition stays unknown', () => {
  const { max: _, ...rest } = cell.gapMs;
  const gapMs = { ...rest, max: null, p50: null, p99: null };
  const [row] = rowsOf([{ ...cell, gapMs, retransmits: null, detour: null }]);
  assert.deepEqual([row?.gapP99Ms, row?.retransmits, row?.addedRttMs], [null, null, null]);
});

test('the rows of the sample are those of its cells', () => {
  const made = rowsOf(sample.cells);
  assert.deepEqual(
    made.map((row) => [row.scenario, row.contender, row.sessions]),
    sample.rows.map((row) => [row.scenario, row.contender, row.sessions]),
  );
});
