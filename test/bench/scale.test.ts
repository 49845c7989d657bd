import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BenchError } from '../../bench/measure/errors.ts';
import { silentProgress } from '../../bench/measure/progress.ts';
import { cities } from '../../bench/scale/cities.ts';
import { fleetOf, flowsByBucket } from '../../bench/scale/fleet.ts';
import { HomesLoad } from '../../bench/scale/homes-load.ts';
import { distanceKm, LatencyMatrix } from '../../bench/scale/latency.ts';
import { MembershipWorld } from '../../bench/scale/membership-world.ts';
import { OwnerRun } from '../../bench/scale/owner-run.ts';
import { measurePairs } from '../../bench/scale/pair-world.ts';
import { assumptions, scaleTables, scaleText } from '../../bench/scale/report.ts';
import { runScale, SCALE_DEFAULTS, SCALE_STEPS } from '../../bench/scale/run.ts';
import { WholeWorld } from '../../bench/scale/whole-world.ts';
import { columns } from '../../src/cli/table.ts';
import { Random } from '../../src/sync/random.ts';

const city = (name: string) => cities.find((one) => one.name === name)!;

function near(actual: number, expected: number, share: number, what: string): void {
  const off = Math.abs(actual / expected - 1);
  assert.ok(off <= share, `${what}: ${actual} is ${(off * 100).toFixed(1)} % from ${expected}`);
}

test('distances between cities are those of the globe, and delays follow from them', () => {
  assert.equal(cities.length, 60);
  for (const { latitude, longitude, name } of cities) {
    assert.ok(Math.abs(latitude) < 70 && Math.abs(longitude) <= 180, name);
  }
  near(distanceKm(city('London'), city('New York')), 5_570, 0.01, 'London to New York');
  near(distanceKm(city('Sydney'), city('Santiago')), 11_340, 0.01, 'across the date line');
  const matrix = new LatencyMatrix([city('London'), city('New York'), city('Paris')], 2);
  near(matrix.ms(0, 1), 55.9, 0.02, 'London to New York, twice the line of sight at 200 km/ms');
  assert.equal(matrix.ms(0, 1), matrix.ms(1, 0));
  assert.equal(matrix.nearest(0), 2);
});

test('a fleet shares out all flows and has a node at least in every PoP', () => {
  for (const nodes of [10, 60, 61, 300]) {
    const fleet = fleetOf(cities, nodes, 1_000_000);
    assert.equal(fleet.nodes.length, nodes);
    near(
      fleet.nodes.reduce((sum, node) => sum + node.flows, 0),
      1_000_000,
      1e-9,
      'flows',
    );
    assert.equal(new Set(fleet.nodes.map((node) => node.pop)).size, Math.min(nodes, 60));
  }
});

test('flows fall on buckets like independent draws', () => {
  for (const mean of [3, 1_500]) {
    const counts = [...flowsByBucket(mean * 65_536, 65_536, new Random(5))];
    const average = counts.reduce((sum, one) => sum + one, 0) / counts.length;
    const variance = counts.reduce((sum, one) => sum + (one - average) ** 2, 0) / counts.length;
    near(average, mean, 0.01, 'mean');
    near(variance, mean, 0.03, 'variance');
  }
});

test('the model of traffic agrees with a whole simulated mesh of twelve nodes', () => {
  const shared = { nodes: 12, loss: 0.01, meanDelayMs: 10, seed: 4 };
  const flows = 12_000;
  const lifeS = 30;
  const seconds = 15;
  const whole = new WholeWorld(shared);
  const quiet = whole.load(0, seconds);
  whole.fill(flows / shared.nodes);
  const busy = whole.load(flows / shared.nodes / lifeS, seconds);
  const pair = measurePairs({ ...shared, flows }, [lifeS])[0]!;
  const per = shared.nodes * seconds;
  const peers = shared.nodes - 1;
  near(pair.bytesPerS * peers, (busy.bytes - quiet.bytes) / per, 0.15, 'bytes of tickets');
  near(pair.datagramsPerS * peers, (busy.datagrams - quiet.datagrams) / per, 0.15, 'datagrams');
  const membership = new MembershipWorld(12, 0.01, 10, 4).traffic();
  near(membership.bytesPerNodePerS, quiet.bytes / per, 0.15, 'bytes of membership');
});

test('the tickets that move are those that a whole simulated mesh publishes again', () => {
  const nodes = 12;
  const flowsPerNode = 2_000;
  const whole = new WholeWorld({ nodes, loss: 0.01, meanDelayMs: 10, seed: 9 });
  whole.fill(flowsPerNode);
  const sent = () => {
    const up = whole.world.up();
    const each = up.map((node) => whole.directories.get(node)!.counters.recordsRepublished!);
    return each.reduce((sum, one) => sum + one, 0);
  };
  const [victim] = whole.world.nodes.slice(5);
  const own = whole.directories.get(victim!)!.counters.recordsRepublished!;
  const before = sent() - own;
  whole.world.leave(victim!);
  whole.world.runUntil(whole.world.nowMs + 2_000);
  whole.world.crash(victim!, true);
  whole.world.runUntil(whole.world.nowMs + 15_000);
  const moved = sent() - before;

  const fleet = {
    cities,
    shares: [1],
    nodes: whole.world.nodes.map(({ id }) => ({ id, pop: 0, flows: flowsPerNode })),
    flows: nodes * flowsPerNode,
  };
  const load = new HomesLoad(fleet, flowsByBucket(fleet.flows, 65_536, new Random(1)));
  const departure = load.departure([5]);
  // An owner that becomes a home of its own flows sends nothing: one in eleven.
  near(departure.moved * (10 / 11), moved, 0.05, 'tickets published again');
  assert.equal(departure.lostFlows, flowsPerNode);
  assert.equal(departure.homeless, 0);
});

test('an owner publishes exactly what moved, and every ticket arrives in spite of loss', () => {
  const ids = Array.from({ length: 20 }, (_, i) => `node-${i}`);
  const run = new OwnerRun({
    ids,
    owner: 3,
    flows: 5_000,
    loss: 0.05,
    delayMs: (node) => 5 + node,
    seed: 2,
  });
  const one = run.depart([7]);
  // A twentieth of three homes each.
  near(one.tickets, (5_000 * 3) / 20, 0.15, 'tickets of one node');
  assert.ok(one.tookMs > 0 && one.tookMs < 2_000, `${one.tookMs} ms`);
  assert.ok(one.bytes / one.tickets > 18, 'a record has 18 bytes');
  const many = run.depart([8, 9, 10, 11]);
  assert.ok(many.tickets > 3 * one.tickets && Number.isFinite(many.tookMs));
});

test('a tiny simulation fills every table, and repeats exactly with the same seed', async () => {
  let steps = 0;
  const progress = {
    ...silentProgress,
    done() {
      steps += 1;
    },
  };
  const options = { ...SCALE_DEFAULTS, nodes: 12, flows: 24_000, lifeS: 60, seed: 3 };
  const report = await runScale(options, 'holdfast bench scale', { holdfast: '0' }, progress);
  assert.equal(steps, SCALE_STEPS);
  const { figures } = report;
  near(figures.homes.mean, (3 * 24_000) / 12, 0.02, 'tickets per home');
  assert.ok(figures.homes.max > figures.homes.mean && figures.homes.min < figures.homes.mean);
  assert.ok(figures.ticketBytes > 50 && figures.ticketBytes < 80);
  assert.equal(figures.departures.length, 4);
  for (const { anyHomeMs, allHomesMs, departure } of figures.departures) {
    assert.ok(anyHomeMs > 0 && allHomesMs > anyHomeMs, `${anyHomeMs} then ${allHomesMs}`);
    assert.ok(departure.moved > 0);
  }
  for (const { knownMs, firstMs } of figures.detours) {
    assert.ok(knownMs.p50 <= knownMs.p99 && firstMs.mean >= knownMs.mean);
  }
  for (const table of scaleTables(report)) {
    for (const row of table.rows) assert.equal(row.length, table.head.length, table.name);
  }
  const text = scaleText(report, (rows, right) => columns(rows, { indent: 2, right }));
  assert.doesNotMatch(text, /NaN|undefined|Infinity/);
  for (const line of assumptions(report)) assert.ok(text.includes(line));
  const again = await runScale(options, '', {}, silentProgress);
  const { ticketBytes: _, ...drawn } = figures;
  const { ticketBytes: __, ...drawnAgain } = again.figures;
  assert.deepEqual(drawnAgain, drawn);
});

test('a mesh that cannot be is refused in words', async () => {
  const run = (wrong: object) => runScale({ ...SCALE_DEFAULTS, ...wrong }, '', {}, silentProgress);
  for (const wrong of [{ nodes: 9 }, { nodes: 1e6 }, { flows: 0.5 }, { lifeS: 0 }, { loss: 1 }]) {
    await assert.rejects(run(wrong), (error: unknown) => {
      assert.ok(error instanceof BenchError);
      assert.equal(error.code, 'ERR_BENCH_USAGE');
      return /must be/.test(error.message);
    });
  }
});
