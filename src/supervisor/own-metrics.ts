/** Numbers of the supervisor itself; those of the traffic come from the workers. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { MetricsSnapshot } from './messages.ts';

export interface OwnCounts {
  readonly workersUp: number;
  readonly crashes: number;
  readonly applied: number;
  readonly refused: number;
  readonly upgrades: number;
  readonly olderReleases: number;
}

export class OwnMetrics {
  readonly #registry = new Registry();

  /** @param counts asked at every collection. */
  constructor(counts: () => OwnCounts, facts: { readonly version: string; readonly node: string }) {
    const registers = [this.#registry];
    new Gauge({
      name: 'holdfast_info',
      help: 'Always 1; the labels say what runs.',
      labelNames: ['version', 'node'],
      registers,
    }).set({ ...facts }, 1);
    new Gauge({
      name: 'holdfast_start_time_seconds',
      help: 'When the node was started, seconds since 1970.',
      registers,
    }).set(Math.round(performance.timeOrigin / 1_000));
    new Gauge({
      name: 'holdfast_workers_up',
      help: 'Worker processes that serve.',
      registers,
      collect() {
        this.set(counts().workersUp);
      },
    });
    new Counter({
      name: 'holdfast_worker_crashes_total',
      help: 'Worker processes that ended without having been asked to.',
      registers,
      collect() {
        this.reset();
        this.inc(counts().crashes);
      },
    });
    new Counter({
      name: 'holdfast_reloads_total',
      help: 'Reloads of the configuration, by what became of them.',
      labelNames: ['result'],
      registers,
      collect() {
        this.reset();
        const { applied, refused } = counts();
        this.inc({ result: 'applied' }, applied);
        this.inc({ result: 'refused' }, refused);
      },
    });
    new Counter({
      name: 'holdfast_upgrades_total',
      help: 'Releases that replaced another in place.',
      registers,
      collect() {
        this.reset();
        this.inc(counts().upgrades);
      },
    });
    new Gauge({
      name: 'holdfast_older_releases',
      help: 'Releases that were replaced and still have sessions.',
      registers,
      collect() {
        this.set(counts().olderReleases);
      },
    });
  }

  async snapshot(): Promise<MetricsSnapshot> {
    return (await this.#registry.getMetricsAsJSON()) as MetricsSnapshot;
  }
}
