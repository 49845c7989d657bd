import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, Gauge, Registry } from 'prom-client';
import { HealthBoard } from '../../src/supervisor/health-board.ts';
import type { MetricsSnapshot } from '../../src/supervisor/messages.ts';
import { MetricsTotal } from '../../src/supervisor/metrics-total.ts';
import { RestartDelay } from '../../src/supervisor/restart-delay.ts';
import {
  degradations,
  mergedSites,
  type OriginStatus,
  type SiteStatus,
  type WorkerLine,
} from '../../src/supervisor/status.ts';

test('a worker that dies early waits twice as long each time, one that lived does not wait', () => {
  const delay = new RestartDelay();
  const early = Array.from({ length: 9 }, () => delay.afterDeath(500));
  assert.deepEqual(early, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  assert.equal(delay.afterDeath(1_000), 0);
  assert.equal(delay.afterDeath(999), 100);
});

test('a worker that dies a thousand times still waits no longer than ten seconds', () => {
  const delay = new RestartDelay();
  for (let i = 0; i < 1_000; i++) delay.afterDeath(0);
  assert.equal(delay.afterDeath(0), 10_000);
});

test('a new worker is told of the unhealthy, not of those that recovered', () => {
  const board = new HealthBoard();
  board.set({ key: 'a /*', originId: 'x', healthy: false });
  board.set({ key: 'a /*', originId: 'y', healthy: false });
  board.set({ key: 'b /*', originId: 'x', healthy: false });
  board.set({ key: 'a /*', originId: 'x', healthy: true });
  assert.deepEqual(
    board.unhealthy.map(({ key, originId }) => `${key} ${originId}`),
    ['a /* y', 'b /* x'],
  );
});

async function snapshot(requests: number, open: number): Promise<MetricsSnapshot> {
  const registry = new Registry();
  const labelNames = ['site'];
  new Counter({ name: 'requests', help: 'r', labelNames, registers: [registry] }).inc(
    { site: 'a' },
    requests,
  );
  new Gauge({ name: 'open', help: 'o', registers: [registry] }).set(open);
  return (await registry.getMetricsAsJSON()) as MetricsSnapshot;
}

test('counts of workers that are gone stay in the sum, their gauges do not', async () => {
  const metrics = new MetricsTotal();
  const text = async (...parts: MetricsSnapshot[]) =>
    (await metrics.total(parts).metrics()).split('\n');
  const living = await snapshot(5, 2);
  assert.ok((await text(living, await snapshot(7, 3))).includes('requests{site="a"} 12'));
  await Promise.all([metrics.bury(await snapshot(7, 3)), metrics.bury(await snapshot(100, 9))]);
  const after = await text(living);
  assert.ok(after.includes('requests{site="a"} 112'), after.join('\n'));
  assert.ok(after.includes('open 2'));
});

const origin = (change: Partial<OriginStatus>): OriginStatus => ({
  id: 'x',
  url: 'http://h:1',
  healthy: true,
  ejectedForMs: 0,
  inFlight: 0,
  consecutiveFailures: 0,
  requests: 0,
  failures: 0,
  ejections: 0,
  ...change,
});
const sites = (requests: number, ...origins: OriginStatus[]): SiteStatus[] => [
  { host: 'a', routes: [{ path: '/*', requests, origins }] },
];

test('numbers of several workers add up, health is the worst that any of them sees', () => {
  const [site] = mergedSites([
    sites(1, origin({ requests: 1, inFlight: 2 }), origin({ id: 'y' })),
    sites(2, origin({ requests: 4, ejectedForMs: 70, healthy: false })),
  ]);
  assert.deepEqual(site?.routes[0], {
    path: '/*',
    requests: 3,
    origins: [
      origin({ requests: 5, inFlight: 2, healthy: false, ejectedForMs: 70 }),
      origin({ id: 'y' }),
    ],
  });
});

test('what is not as it should be is said in words', () => {
  const worker: WorkerLine = {
    slot: 1,
    pid: null,
    state: 'restarting',
    uptimeMs: 0,
    crashes: 1,
    connections: 0,
    requestsInFlight: 0,
    tunnels: 0,
  };
  assert.deepEqual(degradations([{ ...worker, state: 'up' }], sites(0, origin({}))), []);
  assert.deepEqual(
    degradations([worker], sites(0, origin({ healthy: false }), origin({ ejectedForMs: 5 }))),
    [
      'worker 1 is restarting',
      'origin http://h:1 of a/* is unhealthy',
      'origin http://h:1 of a/* is ejected',
    ],
  );
});
