/** Real sessions in network namespaces: they live while the route stays and break when it moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientMix } from '../../bench/lab/clients/event.ts';
import type { LabResult } from '../../bench/lab/measure/result.ts';
import type { FlipMethod } from '../../bench/lab/route/control.ts';
import { controlOf } from '../../bench/lab/scenarios/scenario.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { skipWithoutRoot } from './root.ts';
import { assertAllReset, assertAllSurvived, inLab, run, shortened } from './short-run.ts';

const CLIENTS: ClientMix = { download: 2, upload: 2, websocket: 2, sse: 2 };
const SESSIONS = 8;

/** The same as `single-flip`, in less time. */
const flip = shortened('single-flip', {
  durationMs: 1_900,
  tailMs: 1_500,
  events: [{ atMs: 400, do: 'flip', to: 'next' }],
  clients: CLIENTS,
});
const control = controlOf(flip);

function assertReset(result: LabResult): void {
  assertAllReset(result);
  assert.equal(result.sessions.started, SESSIONS);
  const [moved] = result.flipEvents;
  assert.deepEqual([moved?.from, moved?.to, result.flips], ['pop-a', 'pop-b', 1]);
  assert.ok((moved?.convergenceMs ?? -1) > 0);
  // The PoP that has no socket for them is the one that says so.
  assert.ok((result.resetsSent['pop-b'] ?? 0) >= SESSIONS);
  assert.equal(result.resetsSent['pop-c'], 0);
  assert.equal(result.relayedPackets, 0);
}

/** Both families and both ways for the servers of most interest; enough of the others. */
const PLAN: readonly { server: string; family: Family; quiet: boolean; flips: FlipMethod[] }[] = [
  { server: 'nginx', family: 4, quiet: false, flips: ['bgp'] },
  { server: 'haproxy', family: 6, quiet: false, flips: ['bgp'] },
  { server: 'holdfast', family: 4, quiet: false, flips: ['route'] },
  { server: 'holdfast', family: 6, quiet: true, flips: ['bgp', 'route'] },
];

for (const { server, family, quiet, flips } of PLAN) {
  const live = quiet ? 'live while the route stays and ' : '';
  test(`sessions through ${server} over IPv${family} ${live}are reset when it moves (${flips.join(', ')})`, {
    skip: skipWithoutRoot,
    timeout: 60_000,
  }, async () => {
    await inLab(server, family, async (lab) => {
      if (quiet) {
        const result = await run(lab, control);
        assertAllSurvived(result);
        assert.equal(result.flips, 0);
        // Echoes are sent every 20 ms: half of the gaps are below and half above.
        const { p50 } = result.baselineGapMs;
        assert.ok(p50 !== null && p50 > 10 && p50 < 40, `${p50}`);
      }
      // The lab puts the route back before each run, so both ways can be tried in one lab.
      const results: LabResult[] = [];
      for (const how of flips) results.push(await run(lab, flip, how));
      for (const result of results) assertReset(result);
      // One seed, one outcome: the same sessions of each kind are lost.
      for (const { kinds } of results) assert.deepEqual(kinds, results[0]?.kinds);
    });
  });
}

test('two labs side by side do not disturb each other', {
  skip: skipWithoutRoot,
  timeout: 60_000,
}, async () => {
  const options = { pops: 2 };
  const first = async () =>
    inLab('nginx', 4, async (lab) => assertBroken(await run(lab, flip)), options);
  const second = async () =>
    inLab('nginx', 4, async (lab) => assertAllSurvived(await run(lab, control)), options);
  await Promise.all([first(), second()]);
});

function assertBroken(result: LabResult): void {
  assertAllReset(result);
  assert.deepEqual(Object.keys(result.resetsSent), ['pop-a', 'pop-b']);
}
