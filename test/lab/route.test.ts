import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { announcementsFor } from '../../bench/lab/route/announcements.ts';
import { parseRouteDevice } from '../../bench/lab/route/answer.ts';

test('the route goes to a PoP when it announces and nobody better does; the next best stays ready', () => {
  assert.deepEqual(announcementsFor(0, 3), [true, true, true]);
  assert.deepEqual(announcementsFor(1, 3), [false, true, true]);
  assert.deepEqual(announcementsFor(2, 3), [false, false, true]);
});

test('the interface is read from the answer of ip', () => {
  const answer =
    '[{"dst":"192.0.2.10","gateway":"203.0.113.130","dev":"pop-a","prefsrc":"203.0.113.129","flags":[],"uid":0,"cache":[]}]';
  assert.equal(parseRouteDevice(answer), 'pop-a');
});

test('an answer without a route names no interface, and nothing makes the reader throw', () => {
  for (const line of ['', '[]', '[null]', '[{}]', '[{"dev":7}]', '{"dev":"x"}', 'null', '[[']) {
    assert.equal(parseRouteDevice(line), undefined, line);
  }
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      parseRouteDevice(line);
    }),
  );
});
