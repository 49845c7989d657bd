import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureText } from '../../bench/flap/failure.ts';

test('a failure is one line: what went wrong, and the last that the program said', () => {
  const log = 'a on pop-a ended (exit code 127)\n/run/x/server.log:\n  sh: 1: exec: a: not found\n';
  assert.equal(
    failureText(new Error(log)),
    'a on pop-a ended (exit code 127): sh: 1: exec: a: not found',
  );
  assert.equal(failureText(new Error('it ended\n/run/x.log:\n  (empty)')), 'it ended');
  assert.equal(failureText(new Error('alone')), 'alone');
  assert.equal(failureText('no error'), 'no error');
  assert.ok(failureText(new Error('x'.repeat(10_000))).length <= 300);
});
