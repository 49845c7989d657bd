/** Three processes, as the benchmark runs them, in small. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineMs, sleep, withCluster } from '../../../bench/mesh/cluster.ts';
import { flowKey, flowNumber, liveFlows } from '../../../bench/mesh/flow.ts';
import { measureDelivery } from '../../../bench/mesh/scenarios.ts';

test('every ticket reaches both other processes although datagrams are lost', async () => {
  const load = { ticketsPerS: 1_000, seconds: 1, dropShare: 0.03 };
  const result = await measureDelivery({ ...load, way: 'mesh', repairMs: 5_000, restMs: 2_000 });
  assert.equal(result.tickets, 1_000);
  assert.equal(result.missing, 0);
});

test('a killed process comes back and every live flow is known everywhere again', async () => {
  const options = { nodes: 3, dropShare: 0.01, capacity: 100_000, timedFlows: 0 };
  await withCluster(options, async (cluster) => {
    const startMs = machineMs();
    const plan = { first: 0, flowsPerSecond: 500, lifeMs: 3_000, startMs, stopMs: startMs + 5_000 };
    await cluster.nodes[1]!.follow(plan);
    await sleep(2_000);
    await cluster.nodes[1]!.kill();
    await sleep(300);
    await cluster.restart(1, plan);
    await sleep(startMs + 5_000 - machineMs());
    await cluster.joined();
    const { low, high } = liveFlows(plan, machineMs());
    assert.equal(high - low, 1_500);
    const missing = async (): Promise<number> => {
      const counts = await Promise.all(
        cluster.nodes.map((node) => node.count('node-1', low, high)),
      );
      return counts.reduce((sum, known) => sum + high - low - known, 0);
    };
    const endMs = performance.now() + 15_000;
    while ((await missing()) > 0) {
      if (performance.now() > endMs) assert.fail(`${await missing()} tickets are still missing`);
      await sleep(200);
    }
  });
});

test('flows are numbered the same way back and forth, and live as planned', () => {
  for (const n of [0, 1, 65_535, 65_536, 2 ** 24 - 1]) assert.equal(flowNumber(flowKey(n)), n);
  const plan = { first: 100, flowsPerSecond: 10, lifeMs: 2_000, startMs: 1_000, stopMs: 11_000 };
  assert.deepEqual(liveFlows(plan, 500), { low: 100, high: 100 });
  assert.deepEqual(liveFlows(plan, 2_000), { low: 100, high: 110 });
  assert.deepEqual(liveFlows(plan, 5_000), { low: 120, high: 140 });
  assert.deepEqual(liveFlows(plan, 99_000), { low: 180, high: 200 });
});
