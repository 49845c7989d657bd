/** Servers that know nothing of HTTP or of us: their sessions, too, live by the route. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { ClientMix, SessionKind } from '../../bench/lab/clients/event.ts';
import { controlOf } from '../../bench/lab/scenarios/scenario.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { skipWithoutRoot } from './root.ts';
import { assertAllReset, assertAllSurvived, inLab, run, shortened } from './short-run.ts';

const SERVERS: readonly { server: string; kind: SessionKind; family: Family; needs: string }[] = [
  { server: 'postgres', kind: 'psql', family: 4, needs: '/usr/lib/postgresql' },
  { server: 'sshd', kind: 'ssh', family: 6, needs: '/usr/sbin/sshd' },
];

for (const { server, kind, family, needs } of SERVERS) {
  test(`sessions of ${kind} through ${server} live while the route stays and are reset when it moves`, {
    skip: skipWithoutRoot || (existsSync(needs) ? false : `${server} is not installed`),
    timeout: 60_000,
  }, async () => {
    const clients: ClientMix = { [kind]: 2 };
    const events = [{ atMs: 500, do: 'flip', to: 'next' }] as const;
    const flip = shortened('single-flip', { durationMs: 1_500, tailMs: 1_000, clients, events });
    await inLab(
      server,
      family,
      async (lab) => {
        const quiet = await run(lab, controlOf(flip));
        assertAllSurvived(quiet);
        // One line every 20 ms, each answered.
        const { p50 } = quiet.baselineGapMs;
        assert.ok(p50 !== null && p50 > 10 && p50 < 40, `${p50}`);
        assertAllReset(await run(lab, flip));
      },
      { pops: 2 },
    );
  });
}
