/** One short run per family of scenarios, without healing: each must do to sessions what it says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientMix } from '../../bench/lab/clients/event.ts';
import { tryCommand } from '../../bench/lab/command.ts';
import { insideNamespace } from '../../bench/lab/daemons.ts';
import { NetworkFaults } from '../../bench/lab/faults/network-faults.ts';
import type { Lab } from '../../bench/lab/lab.ts';
import { controlOf } from '../../bench/lab/scenarios/scenario.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { skipWithoutRoot } from './root.ts';
import { assertAllReset, assertAllSurvived, inLab, run, shortened } from './short-run.ts';

const options = { skip: skipWithoutRoot, timeout: 90_000 };
const ONE_EACH: ClientMix = { download: 1, upload: 1, websocket: 1, sse: 1 };

/** The families differ in their rules, not in what decides: one split is enough for IPv6. */
const SPLITS = {
  4: ['per-packet', 'split-after-syn', 'ecmp-ttl', 'ecmp-ecn'],
  6: ['ecmp-ttl'],
} as const;

for (const family of [4, 6] as const) {
  test(
    `connections whose packets the router spreads over PoPs die over IPv${family}, and full packets beyond the path’s MTU hang`,
    options,
    async () => {
      await inLab('nginx', family, async (lab) => {
        for (const name of SPLITS[family]) {
          const split = shortened(name, { durationMs: 1_200, tailMs: 0, clients: ONE_EACH });
          const result = await run(lab, split);
          assertAllReset(result);
          assert.equal(result.flips, 0, name);
          assert.deepEqual(
            result.steps.map((step) => step.type),
            ['split'],
          );
        }
        await oversizedDownloadsHang(lab);
        if (family === 6) return;
        const quiet = { durationMs: 1_200, tailMs: 0, clients: ONE_EACH };
        assertAllSurvived(await run(lab, shortened('no-flip', quiet)));
      });
    },
  );
}

/** Full packets that the path cannot carry any more, and an error that never reaches their sender. */
async function oversizedDownloadsHang(lab: Lab): Promise<void> {
  const result = await run(
    lab,
    shortened('pmtu-ecmp', {
      durationMs: 2_500,
      tailMs: 1_500,
      events: [{ atMs: 800, do: 'mtu', bytes: 1_300 }],
      clients: ONE_EACH,
      stallMs: 1_000,
    }),
  );
  assert.equal(result.kinds.download?.stalled, 1, JSON.stringify(result.examples));
  assert.equal(result.sessions.survived, 3, JSON.stringify(result.examples));
}

test('fast flaps, reused ports, floods and silent sessions do what they say', options, async () => {
  await inLab('nginx', 4, async (lab) => {
    const flap = await run(
      lab,
      shortened('flap-100ms', {
        durationMs: 2_500,
        tailMs: 1_000,
        events: [{ atMs: 500, everyMs: 100, do: 'flip', to: 'next' }],
        clients: { websocket: 2, connect: 1 },
      }),
    );
    assert.equal(flap.kinds.websocket?.reset, 2, JSON.stringify(flap.examples));
    assert.equal(flap.flips, 11);
    assert.deepEqual(
      flap.flipEvents.slice(0, 3).map((flip) => flip.to),
      ['pop-b', 'pop-c', 'pop-a'],
    );

    const reuse = shortened('port-reuse', {
      durationMs: 2_500,
      tailMs: 800,
      events: [{ atMs: 600, everyMs: 250, do: 'flip', to: 'next' }],
      clients: { reuse: 3 },
    });
    const reused = await run(lab, reuse);
    assert.ok((reused.kinds.reuse?.reset ?? 0) > 0);
    assert.match(reused.examples.reuse ?? '', /connection \d+: /);

    for (const segment of ['syn', 'ack'] as const) {
      const flood = await run(
        lab,
        shortened(`${segment}-flood`, {
          durationMs: 1_000,
          tailMs: 0,
          events: [{ atMs: 0, do: 'flood', segment, packetsPerS: 1_000, forMs: 600 }],
          clients: { websocket: 1, connect: 2 },
        }),
      );
      assertAllSurvived(flood);
      assert.deepEqual([flood.flood?.sent, flood.flood?.failed], [600, 0]);
      assert.ok((flood.connectMs.p50 ?? 0) > 0);
      // A stranger's ACK is answered by a reset, a SYN by an offer that nobody takes.
      if (segment === 'ack') assert.ok((flood.resetsSent['pop-a'] ?? 0) >= 600);
    }

    const idle = shortened('idle-10k', {
      durationMs: 1_500,
      tailMs: 1_000,
      events: [{ atMs: 300, do: 'flip', to: 'next' }],
      clients: { idle: 300 },
    });
    // Both kinds in one run in which nothing happens to them.
    const clients = { ...reuse.clients, ...idle.clients };
    assertAllSurvived(await run(lab, { ...controlOf(idle), clients }));
    const woken = await run(lab, idle);
    // Of hundreds that speak at once, one may lose its packet or its reset to a queue and wait for
    // the next transmission, which comes after the end of so short a run.
    const { survived, reset, corrupt } = woken.sessions;
    assert.deepEqual({ survived, corrupt }, { survived: 0, corrupt: 0 });
    assert.ok(reset >= 290, `${reset} of 300 were reset`);
    assert.match(woken.examples.idle ?? '', /when it spoke/);
  });
});

test(
  'when a PoP dies its sessions are reset, new ones are served, and it can be switched on again',
  options,
  async () => {
    await inLab('nginx', 4, async (lab) => {
      const result = await run(
        lab,
        shortened('owner-crash', {
          durationMs: 4_000,
          tailMs: 3_000,
          events: [{ atMs: 700, do: 'crash', pop: 'a' }],
          clients: { ...ONE_EACH, connect: 1 },
        }),
      );
      assert.equal(result.kinds.connect?.started, 1);
      assert.equal(result.sessions.reset - (result.kinds.connect?.reset ?? 0), 4);
      const [death] = result.deaths;
      assert.deepEqual([death?.pop, death?.resetSessions], ['pop-a', 4]);
      assert.ok((death?.resetAfterMs.max ?? 0) > 0);
      assert.ok((death?.servedAfterMs ?? 0) > 0);
      const [moved] = result.flipEvents;
      assert.deepEqual([moved?.from, moved?.to], ['pop-a', 'pop-b']);

      const quiet = { durationMs: 1_200, tailMs: 0, clients: ONE_EACH };
      const after = await run(lab, shortened('no-flip', quiet));
      assertAllSurvived(after);
      await assertPartitions(lab, 4);
      await assertPartitions(lab, 6);
    });
  },
);

/** Of a connection to a closed port, asked from one PoP to another one's backbone address. */
async function reaches(lab: Lab, from: number, to: number, family: Family): Promise<boolean> {
  const { pops } = lab.topology;
  const address = pops[to]!.underlayAddress[family];
  const url = `http://${family === 6 ? `[${address}]` : address}:9/`;
  const argv = ['curl', '-q', '-g', '-s', '-m', '0.4', url];
  const { code } = await tryCommand(insideNamespace(lab.namespace(pops[from]!.name), argv));
  // 7: refused, so somebody is there. 28: no answer.
  assert.ok(code === 7 || code === 28, `${code}`);
  return code === 7;
}

async function assertPartitions(lab: Lab, family: Family): Promise<void> {
  const faults = new NetworkFaults(lab);
  await faults.cutOff(2);
  assert.equal(await reaches(lab, 0, 2, family), false);
  assert.equal(await reaches(lab, 2, 1, family), false);
  assert.equal(await reaches(lab, 0, 1, family), true);
  await faults.mendBackbone();
  assert.equal(await reaches(lab, 0, 2, family), true);
  await faults.loseMesh(100);
  assert.equal(await reaches(lab, 0, 1, family), false);
  await faults.clear();
  assert.equal(await reaches(lab, 0, 1, family), true);
}

test(
  'long links delay both ways, and sessions over them live and die as over short ones',
  options,
  async () => {
    const work = async (lab: Lab) => {
      const clients: ClientMix = { websocket: 2, connect: 1 };
      const events = [{ atMs: 700, do: 'flip', to: 'next' }] as const;
      const flip = shortened('single-flip', { durationMs: 1_800, tailMs: 1_000, clients, events });
      const quiet = await run(lab, controlOf(flip));
      assertAllSurvived(quiet);
      // A connection and a question: two round trips of twice 15 ms.
      assert.ok((quiet.connectMs.p50 ?? 0) >= 60, `${quiet.connectMs.p50}`);
      assert.equal(quiet.delayMs, 15);
      assert.equal((await run(lab, flip)).kinds.websocket?.reset, 2);
    };
    await inLab('nginx', 6, work, { pops: 2, delayMs: 15, backboneDelayMs: 10 });
  },
);
