/** The whole benchmark of the mesh, tiny: every scenario runs and cleans up. Speed is not judged. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Measured } from '../../bench/measure/bench-report.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { processTree } from '../../bench/measure/process-usage.ts';
import { silentProgress } from '../../bench/measure/progress.ts';
import { measurementNames, meshSteps, runMeshBench } from '../../bench/mesh/run.ts';
import type { MeshSize } from '../../bench/mesh/size.ts';

const tiny: MeshSize = {
  delivery: { rounds: 1, ticketsPerS: 1_000, seconds: 1, repairMs: 8_000 },
  memory: { rounds: 1, tickets: 20_000 },
  restMs: 800,
  chaos: { ticketsPerS: 600, seconds: 4, lifeMs: 2_000, pauseMsMax: 1_000, goneMsMax: 1_500 },
  detections: [
    { rounds: 1, nodes: 6, crashes: 1 },
    { rounds: 1, nodes: 12, crashes: 1 },
    { rounds: 1, nodes: 20, crashes: 1 },
  ],
  rumour: { rounds: 1, nodes: 20, rumours: 2 },
  stalls: { rounds: 1, nodes: 20, stalling: 2, durationMs: 60_000 },
};

const STREAM = 'plain TCP stream';
const THEIRS = 'memberlist’s LAN times';
const DELIVERY = [STREAM, 'mesh', 'mesh, 3 % lost'];

/** The tables of each scenario, with those who take part. */
const TABLES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  delivery: {
    delivery: DELIVERY,
    'owner-cpu': DELIVERY,
    'home-cpu': DELIVERY,
    'owner-bytes': DELIVERY,
  },
  detection10: { detection6: ['as shipped', THEIRS] },
  detection100: { detection12: ['as shipped', THEIRS] },
  detection500: { detection20: ['as shipped', THEIRS] },
  rumour500: { rumour20: ['as shipped', THEIRS] },
  stalls100: { stalls20: ['as shipped', 'without stall guard'] },
  memory: { memory: [`${STREAM} into a Map of objects`, 'mesh'] },
  chaos: {},
};

async function run(name: string): Promise<Measured> {
  let steps = 0;
  const plan = { size: tiny, only: [name] };
  const measured = await runMeshBench({
    ...plan,
    progress: { ...silentProgress, done: () => (steps += 1) },
    signal: new AbortController().signal,
  });
  assert.equal(steps, meshSteps(plan), 'as many steps as were announced');
  const tables = measured.scenarios.map(({ name: table, contenders }) => [
    table,
    contenders.map((one) => one.name),
  ]);
  assert.deepEqual(Object.fromEntries(tables), TABLES[name]);
  for (const { name: table, contenders } of measured.scenarios) {
    for (const { name: contender, value, failed, served } of contenders) {
      assert.equal(failed, 0, `${table}: ${contender}`);
      assert.ok(served > 0 && Number.isFinite(value.median), `${table}: ${contender}`);
    }
  }
  for (const { rows } of measured.facts ?? []) {
    for (const row of rows) {
      assert.doesNotMatch(row.join(), /NaN|Infinity/);
      if (row[0]?.includes('must be 0')) assert.equal(row[1], '0', row[0]);
    }
  }
  return measured;
}

const scenarioOf = ({ scenarios }: Measured, name: string) =>
  scenarios.find((scenario) => scenario.name === name)!.contenders;

test('every measurement of the mesh has its tiny run here', () => {
  assert.deepEqual(Object.keys(TABLES), measurementNames);
});

// Real processes that wait more than they work: side by side they take the time of one.
describe('bench mesh, tiny, real processes', { concurrency: true, timeout: 60_000 }, () => {
  test('delivery: every ticket arrives by either way, and is compared with a plain stream', async () => {
    const measured = await run('delivery');
    const [stream, mesh, lossy] = scenarioOf(measured, 'owner-bytes');
    assert.equal(stream?.value.median, 36, 'two records of 18 bytes');
    assert.ok((mesh?.ratios[STREAM]?.median ?? 0) > 1);
    assert.ok((lossy?.value.median ?? 0) > 18);
    for (const { value } of scenarioOf(measured, 'delivery')) assert.ok(value.median > 0);
    assert.equal(measured.facts?.[0]?.rows.length, 4);
  });

  test('memory: both homes learn all tickets', async () => {
    const [base, mesh] = scenarioOf(await run('memory'), 'memory');
    assert.deepEqual([base?.served, mesh?.served], [20_000, 20_000]);
  });

  test('chaos: after kills nothing is lost and nothing is stale', async () => {
    const [table] = (await run('chaos')).facts ?? [];
    const [live, lost, stale] = table?.rows ?? [];
    assert.match(live?.[0] ?? '', /^[1-9]\d* kills in 4 s at 600 tickets\/s: live flows$/);
    assert.equal(live?.[1], '1200', 'those of the last two seconds');
    assert.deepEqual([lost?.[1], stale?.[1]], ['0', '0']);
  });

  test('stopped in the middle, it ends at once with the reason', async () => {
    const controller = new AbortController();
    const stop = new BenchError('enough', 'ERR_BENCH_INTERRUPTED');
    const fromMs = performance.now();
    const running = runMeshBench({
      size: { ...tiny, restMs: 60_000 },
      only: ['memory'],
      progress: { ...silentProgress, step: () => setTimeout(() => controller.abort(stop), 2_000) },
      signal: controller.signal,
    });
    await assert.rejects(running, (error) => error === stop);
    assert.ok(performance.now() - fromMs < 20_000);
  });
});

describe('bench mesh, tiny, simulated', () => {
  for (const name of ['detection10', 'detection100', 'detection500', 'rumour500', 'stalls100']) {
    test(`${name}: has its base, and no healthy node dies as shipped`, async () => {
      const measured = await run(name);
      const [table] = Object.keys(TABLES[name]!);
      const [ours] = scenarioOf(measured, table!);
      if (name === 'stalls100') assert.equal(ours?.value.median, 0);
      else assert.ok((ours?.ratios[THEIRS]?.median ?? 0) > 0);
    });
  }

  test('no process is left', () => {
    assert.equal(processTree(process.pid).length, 1);
  });
});
