/** Real clients, real servers, real agents: a route change that nobody feels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healingNamed } from '../../bench/lab/healing/healing.ts';
import type { Lab } from '../../bench/lab/lab.ts';
import type { LabResult } from '../../bench/lab/measure/result.ts';
import { silent } from '../../bench/lab/progress.ts';
import { runScenario } from '../../bench/lab/run.ts';
import { scenarioNamed } from '../../bench/lab/scenarios/registry.ts';
import { serverNamed } from '../../bench/lab/servers/registry.ts';
import { withLab } from '../../bench/lab/with-lab.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';

/** One session of each kind through one flip. */
function singleFlip(lab: Lab): Promise<LabResult> {
  return runScenario(lab, {
    scenario: scenarioNamed('single-flip'),
    healing: healingNamed('on'),
    flip: 'route',
    seed: 3,
    durationMs: 6_600,
    clients: { download: 1, upload: 1, websocket: 1, sse: 1 },
    transferBytes: 1_048_576,
    observer: { ...silent, tick: () => {}, event: () => {} },
  });
}

for (const family of [4, 6] as const) {
  test(`sessions of nginx, which knows nothing of holdfast, survive a flip over IPv${family}`, {
    skip,
    timeout: 120_000,
  }, async () => {
    const server = serverNamed('nginx');
    await withLab({ server, family, pops: 3, progress: silent }, async (lab) => {
      const result = await singleFlip(lab);
      assert.equal(result.sessions.started, 4);
      assert.equal(result.sessions.survived, 4, JSON.stringify(result));
      assert.equal(result.sessions.corrupt, 0);
      assert.ok(result.relayedPackets > 0, 'packets took the detour');
      assert.ok((result.verdicts.delivered ?? 0) > 0);
      assert.deepEqual(
        ['bad_cookie', 'bad_sender', 'bad_inner'].map((name) => result.verdicts[name] ?? 0),
        [0, 0, 0],
      );
    });
  });
}
