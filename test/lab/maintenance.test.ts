/** holdfast announces in the lab: drains, upgrades, dead agents, cut-off nodes. Real BIRD, short runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientMix } from '../../bench/lab/clients/event.ts';
import { DEAD_MAN_MS } from '../../bench/lab/healing/agent-config.ts';
import { healingNamed } from '../../bench/lab/healing/healing.ts';
import { complaints, type LabResult } from '../../bench/lab/measure/result.ts';
import { silent } from '../../bench/lab/progress.ts';
import { runScenario } from '../../bench/lab/run.ts';
import { labNeeds, type Scenario, type ScenarioEvent } from '../../bench/lab/scenarios/scenario.ts';
import { serverNamed } from '../../bench/lab/servers/registry.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { withLab } from '../../bench/lab/with-lab.ts';
import { skipWithoutRoot } from './root.ts';
import { shortened } from './short-run.ts';

const options = { skip: skipWithoutRoot, timeout: 240_000 };
const CLIENTS: ClientMix = { download: 1, upload: 1, websocket: 2, visit: 2, connect: 2 };
/** Of a machine that does other things, too. */
const PATIENCE_MS = 40_000;

/** Two PoPs, the scenario's own needs, healing on. */
async function healed(
  name: string,
  server: string,
  family: Family,
  changes: { durationMs: number; clients?: ClientMix; events: readonly ScenarioEvent[] },
): Promise<{ result: LabResult; scenario: Scenario }> {
  const short = shortened(name, { tailMs: 1_000, clients: CLIENTS, stallMs: 10_000, ...changes });
  const scenario = { ...short, pops: 2 };
  const needs = { ...labNeeds(scenario), server: serverNamed(server), family };
  const result = await withLab({ ...needs, progress: silent }, (lab) =>
    runScenario(lab, {
      scenario,
      healing: healingNamed('on'),
      flip: 'bgp',
      seed: 5,
      durationMs: scenario.durationMs,
      clients: scenario.clients,
      transferBytes: 1_048_576,
      observer: { ...silent, tick: () => {}, event: () => {} },
    }),
  );
  return { result, scenario };
}

const moves = ({ flipEvents }: LabResult) => flipEvents.map(({ from, to }) => [from, to]);

test(
  'a PoP is drained and resumed, and no session and no new connection notices',
  options,
  async () => {
    const { result, scenario } = await healed('drain', 'holdfast', 6, {
      durationMs: 14_000,
      events: [
        { atMs: 1_000, do: 'drain', pop: 'a' },
        { atMs: 1_000, do: 'await-route', pop: 'b', withinMs: PATIENCE_MS },
        { atMs: 6_000, do: 'announce', pop: 'a' },
        { atMs: 6_000, do: 'await-route', pop: 'a', withinMs: PATIENCE_MS },
      ],
    });
    assert.deepEqual(complaints(result, scenario.expected), [], JSON.stringify(result.examples));
    assert.deepEqual(moves(result), [
      ['pop-a', 'pop-b'],
      ['pop-b', 'pop-a'],
    ]);
    assert.equal(result.connections.failed, 0);
    assert.ok(result.relayedPackets > 0, 'sessions went on through the other PoP');
    // Worse, withdrawn, back: the router has heard each of them.
    const [{ updates = 0, withdrawals = 0 } = {}] = result.announcements;
    assert.deepEqual([updates, withdrawals], [2, 1]);
  },
);

test('an upgrade under load takes neither a session nor the announcement', options, async () => {
  const { result, scenario } = await healed('upgrade', 'holdfast', 4, {
    durationMs: 16_000,
    events: [{ atMs: 1_000, do: 'upgrade', pop: 'a' }],
  });
  assert.deepEqual(complaints(result, scenario.expected), [], JSON.stringify(result.examples));
  assert.deepEqual(moves(result), []);
  assert.equal(result.connections.failed, 0);
  assert.deepEqual(
    result.announcements.map(({ updates, withdrawals }) => [updates, withdrawals]),
    [
      [0, 0],
      [0, 0],
    ],
  );
});

test(
  'a killed agent’s announcement goes with the dead-man time, a foreign server’s sessions stay',
  options,
  async () => {
    const { result, scenario } = await healed('agent-killed', 'nginx', 4, {
      durationMs: 18_000,
      clients: { download: 1, upload: 1, websocket: 2 },
      events: [
        { atMs: 1_000, do: 'kill-agent', pop: 'a' },
        { atMs: 1_000, do: 'await-route', pop: 'b', withinMs: PATIENCE_MS },
      ],
    });
    assert.deepEqual(complaints(result, scenario.expected), [], JSON.stringify(result.examples));
    assert.deepEqual(moves(result), [['pop-a', 'pop-b']]);
    const { convergenceMs = 0 } = result.flipEvents[0] ?? {};
    // From the last renewal on, which may have been a third of that time ago; and never at once.
    assert.ok(convergenceMs > DEAD_MAN_MS / 3, `${convergenceMs}`);
    assert.ok(convergenceMs < DEAD_MAN_MS + 5_000, `${convergenceMs}`);
  },
);

test('a PoP that only the mesh has lost goes on serving what it has', options, async () => {
  const { result, scenario } = await healed('isolated', 'holdfast', 4, {
    durationMs: 12_000,
    events: [{ atMs: 1_000, do: 'partition', pop: 'a' }],
  });
  assert.deepEqual(complaints(result, scenario.expected), [], JSON.stringify(result.examples));
  assert.deepEqual(moves(result), []);
  assert.deepEqual(result.resetsSent['pop-b'], 0);
});

test(
  'when the origin fails for all, the last node that is well stays announced, and the other is back',
  options,
  async () => {
    const { result, scenario } = await healed('origin-down', 'holdfast', 4, {
      durationMs: 26_000,
      clients: { download: 1, upload: 1, websocket: 2 },
      events: [
        { atMs: 1_000, do: 'origin-down', pop: 'a' },
        { atMs: 1_000, do: 'await-route', pop: 'b', withinMs: PATIENCE_MS },
        { atMs: 10_000, do: 'origin-down' },
        // Degraded like B, and the router's first choice: so it has come back.
        { atMs: 10_000, do: 'await-route', pop: 'a', withinMs: PATIENCE_MS },
      ],
    });
    assert.deepEqual(complaints(result, scenario.expected), [], JSON.stringify(result.examples));
    assert.deepEqual(moves(result), [
      ['pop-a', 'pop-b'],
      ['pop-b', 'pop-a'],
    ]);
    const [a, b] = result.announcements;
    assert.deepEqual([a?.withdrawals, b?.withdrawals], [1, 0]);
    assert.ok((b?.updates ?? 0) >= 1, 'B says that it is degraded');
  },
);

test(
  'when a PoP is lost its clients are told, come again elsewhere and resume their TLS sessions',
  options,
  async () => {
    const { result, scenario } = await healed('owner-lost', 'holdfast', 6, {
      durationMs: 12_000,
      clients: { websocket: 2, reconnect: 4 },
      events: [{ atMs: 1_000, do: 'crash', pop: 'a', quietly: true }],
    });
    assert.deepEqual(complaints(result, scenario.expected), [], JSON.stringify(result.examples));
    assert.deepEqual(moves(result), [['pop-a', 'pop-b']]);
    const [{ resetSessions, reconnected, resumed } = {}] = result.deaths;
    assert.deepEqual([resetSessions, reconnected, resumed], [2, 4, 4]);
  },
);
