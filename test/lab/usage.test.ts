/** What the commands answer before anything is created; needs no root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../src/cli/lab.ts';
import { holdfast } from './command-line.ts';

test('times are read with and without a unit', () => {
  assert.deepEqual(
    ['8', '8s', '500ms', '1.5', '2m'].map(parseDuration),
    [8_000, 8_000, 500, 1_500, 120_000],
  );
  for (const text of ['', '0', '-1', '8h', 'x', '61m']) {
    assert.throws(() => parseDuration(text), InvalidArgumentError, text);
  }
});

test('a wrong call ends with code 2 and says what would be right', async () => {
  const unknown = await holdfast('lab', 'run', 'nope');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /no-flip, .*owner-crash/);
  const short = await holdfast('lab', 'run', 'single-flip', '--duration', '2s');
  assert.equal(short.code, 2);
  assert.match(short.stderr, /at least --duration 6500ms/);
});

test('what does not fit together is refused before anything is built', async () => {
  const wrong: readonly [string[], RegExp][] = [
    [['flap-100ms', '--flip', 'bgp'], /flap-100ms needs --flip route/],
    [['partition', '--pops', '2'], /partition needs at least --pops 3/],
    [['single-flip', '--server', 'postgres', '--sse', '1'], /postgres does not speak HTTP/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => holdfast('lab', 'run', ...args)));
  for (const [index, { code, stderr }] of ended.entries()) {
    assert.equal(code, 2, stderr);
    assert.match(stderr, wrong[index]![1]);
  }
});
