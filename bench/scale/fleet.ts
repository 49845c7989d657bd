/** Where the nodes stand and how many flows each owns. A core without IO. */
import type { Random } from '../../src/sync/random.ts';
import type { City } from './cities.ts';

/** Share of a PoP by its rank: `1 / rank ** SKEW` (Zipf). */
export const SKEW = 0.8;

export interface FleetNode {
  readonly id: string;
  /** Number of its city. */
  readonly pop: number;
  /** Flows that it owns. */
  readonly flows: number;
}

export interface Fleet {
  readonly cities: readonly City[];
  /** Share of all flows by PoP; together 1. */
  readonly shares: readonly number[];
  readonly nodes: readonly FleetNode[];
  readonly flows: number;
}

/**
 * A PoP per city, the first `nodes` ones at most, each with nodes in proportion to its share of
 * flows, but one at least; the nodes of a PoP share its flows evenly.
 */
export function fleetOf(cities: readonly City[], nodes: number, flows: number): Fleet {
  const used = cities.slice(0, nodes);
  const weights = used.map((_, i) => 1 / (i + 1) ** SKEW);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.map((weight) => weight / whole);
  const counts = apportion(shares, nodes);
  const list: FleetNode[] = [];
  for (const [pop, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      const id = `node-${String(list.length).padStart(4, '0')}`;
      list.push({ id, pop, flows: (flows * shares[pop]!) / count });
    }
  }
  return { cities: used, shares, nodes: list, flows };
}

/** One each, the rest one by one to whoever has most flows per node (D'Hondt's method). */
function apportion(shares: readonly number[], seats: number): number[] {
  const counts = shares.map(() => 1);
  for (let left = seats - shares.length; left > 0; left--) {
    let best = 0;
    for (const [i, share] of shares.entries()) {
      if (share / counts[i]! > shares[best]! / counts[best]!) best = i;
    }
    counts[best]!++;
  }
  return counts;
}

/**
 * Flows of every bucket: the kernel's hash spreads them like independent draws, so their numbers are
 * Poisson distributed; from 50 flows a bucket on, the normal distribution stands for it.
 */
export function flowsByBucket(flows: number, buckets: number, random: Random): Float64Array {
  const mean = flows / buckets;
  const counts = new Float64Array(buckets);
  for (let bucket = 0; bucket < buckets; bucket++) {
    counts[bucket] = mean < 50 ? poisson(mean, random) : normal(mean, Math.sqrt(mean), random);
  }
  return counts;
}

/** Knuth's method; for small means. */
function poisson(mean: number, random: Random): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.float(); product > limit; product *= random.float()) count++;
  return count;
}

/** Box and Muller's method. */
function normal(mean: number, deviation: number, random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.float()));
  const value = mean + deviation * radius * Math.cos(2 * Math.PI * random.float());
  return Math.max(0, Math.round(value));
}
