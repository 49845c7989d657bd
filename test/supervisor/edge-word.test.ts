/** What a node tells its agent of its edge. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeReport } from '../../src/announce/site-health.ts';
import { configSchema } from '../../src/config/schema.ts';
import { tellEdgeHealth } from '../../src/node/edge-word.ts';

const config = configSchema.parse({ listen: [':8080'], sites: {} }) as never;

test('a release that follows another says that whoever asks is served, until its own workers must', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const said: boolean[] = [];
  const agent = {
    announces: true,
    edgeSays: ({ accepting }: EdgeReport) => {
      said.push(accepting);
    },
  };
  const supervisor = {
    legacy: { ticketKeys: [], counts: [], unhealthy: [] },
    config,
    serves: false,
  };
  let isFollowing = true;
  const timer = tellEdgeHealth(agent, supervisor as never, () => isFollowing);
  t.mock.timers.tick(1_000);
  isFollowing = false;
  t.mock.timers.tick(1_000);
  supervisor.serves = true;
  t.mock.timers.tick(1_000);
  assert.deepEqual(said, [true, false, true]);
  clearInterval(timer);
});
