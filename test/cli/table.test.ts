import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columns, durationText } from '../../src/cli/table.ts';

test('columns are as wide as their widest cell, numbers to the right', () => {
  const rows = [
    ['SITE', 'N', 'STATE'],
    ['a.example', '1', ''],
    ['b', '100', 'up'],
  ];
  assert.equal(
    columns(rows, { right: [1], indent: 1 }),
    ' SITE         N  STATE\n a.example    1\n b          100  up',
  );
});

test('durations show their two largest units', () => {
  assert.equal(durationText(0), '0 ms');
  assert.equal(durationText(999), '999 ms');
  assert.equal(durationText(61_000), '1 min 1 s');
  assert.equal(durationText(3_600_000), '1 h');
  assert.equal(durationText(90_061_000), '1 d 1 h');
});
