/**
 * Metrics of several processes as one. Counters of workers that are gone stay in the total: a sum
 * that went down would look like a restart of everything and be counted twice by Prometheus.
 * A core without IO.
 */
import { AggregatorRegistry, type Registry } from 'prom-client';
import type { MetricsSnapshot } from './messages.ts';

export class MetricsTotal {
  /** Counters and histograms of all workers that are gone, added up: one snapshot, however many died. */
  #gone: MetricsSnapshot = [];
  #burial: Promise<void> = Promise.resolve();

  /** Keeps the counts of a worker that is gone, as last collected. */
  bury(last: MetricsSnapshot): Promise<void> {
    const counts = last.filter(({ type }) => isCount(type));
    // One after the other: two at once would each add to the same sum.
    this.#burial = this.#burial.then(async () => {
      const sum = AggregatorRegistry.aggregate([this.#gone, counts]);
      this.#gone = (await sum.getMetricsAsJSON()) as MetricsSnapshot;
    });
    return this.#burial;
  }

  /** Counts of all that are gone. */
  get gone(): MetricsSnapshot {
    return this.#gone;
  }

  /** The total of these snapshots and of all workers that are gone. */
  total(snapshots: readonly MetricsSnapshot[]): Registry {
    return AggregatorRegistry.aggregate([...snapshots, this.#gone]);
  }
}

/** prom-client's JSON names types by text, its declarations by number. */
function isCount(type: unknown): boolean {
  return type === 'counter' || type === 'histogram';
}
