import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { announcementsFor, preferredRank } from '../../bench/lab/route/announcements.ts';
import { parseRouteDevice } from '../../bench/lab/route/answer.ts';

test('the route goes to a PoP when it announces and nobody better does; the next best stays ready', () => {
  assert.deepEqual(announcementsFor(0, 3), ['full', 'full', 'full']);
  assert.deepEqual(announcementsFor(1, 3), ['none', 'full', 'full']);
  assert.deepEqual(announcementsFor(2, 3), ['none', 'none', 'full']);
});

test('a PoP that announces worse is preferred to none, and to nobody who announces fully', () => {
  assert.equal(preferredRank(['full', 'full']), 0);
  assert.equal(preferredRank(['worse', 'full']), 1);
  assert.equal(preferredRank(['worse', 'none', 'worse']), 0);
  assert.equal(preferredRank(['none', 'none']), undefined);
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
