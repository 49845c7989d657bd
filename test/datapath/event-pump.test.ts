import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventPump } from '../../src/datapath/event-pump.ts';
import type { EventReader } from '../../src/datapath/event-ring.ts';

test('rounds are 2 ms apart, 4 ms after a crowd, and ever farther while nothing comes', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  const waiting = [3, 40, 3, 0, 0, 0, 0];
  const rounds: number[] = [];
  const drain = () => {
    rounds.push(nowMs);
    return waiting.shift() ?? 0;
  };
  const pump = new EventPump({ drain }, {} as EventReader, { crowd: 32, idleMs: 8 });
  pump.start();
  for (; nowMs < 36; nowMs++) t.mock.timers.tick(nowMs === 0 ? 0 : 1);
  pump.stop();
  assert.deepEqual(
    rounds.map((at, i) => at - (rounds[i - 1] ?? at)),
    [0, 2, 4, 2, 4, 8, 8],
  );
});
