/** Series for plots, made small: what a plot of a few hundred pixels can show. A core without IO. */
import type { FlapCell, Histogram, Throughput } from '../result.ts';

/**
 * Percentiles at which gap distributions are drawn: 20 for each further nine, from the median to
 * 99.99 %. Below it echoes that arrive together would stretch a logarithmic scale to nothing.
 */
const STEPS_PER_NINE = 20;
const MEDIAN_NINES = Math.log10(2);
const NINES_MAX = 4;
/** Points that all series of a page share; the rest is averaged away. */
const POINTS_MAX = 150_000;
const POINTS_PER_SERIES_MAX = 300;
const POINTS_PER_SERIES_MIN = 30;

/** Three digits that matter; longer numbers only make the file longer. */
export function rounded(value: number): number {
  return value === 0 || !Number.isFinite(value) ? 0 : Number(value.toPrecision(3));
}

/** Points that each of so many series may have, so that the page stays small. */
export function pointsPerSeries(series: number): number {
  const share = Math.floor(POINTS_MAX / Math.max(1, series));
  return Math.max(POINTS_PER_SERIES_MIN, Math.min(POINTS_PER_SERIES_MAX, share));
}

/** The same distribution from several histograms: buckets are added up. */
export function mergeBuckets(histograms: readonly Histogram[]): (readonly [number, number])[] {
  const counts = new Map<number, number>();
  for (const { buckets } of histograms) {
    for (const [value, count] of buckets) counts.set(value, (counts.get(value) ?? 0) + count);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

export interface Percentiles {
  /** `-log10(1 - p)`: 0.301 for p50, 1 for p90, 2 for p99 … */
  readonly nines: readonly number[];
  /** One list per distribution; `null` where it has too few values to tell. */
  readonly values: readonly (readonly (number | null)[])[];
}

/** Value by percentile on a common scale, as far as the fullest distribution can tell. */
export function percentiles(
  distributions: readonly (readonly (readonly [number, number])[])[],
): Percentiles {
  const totals = distributions.map((buckets) => buckets.reduce((sum, [, count]) => sum + count, 0));
  const most = Math.max(0, ...totals);
  const last = Math.min(NINES_MAX, Math.max(1, Math.log10(Math.max(1, most))));
  const nines: number[] = [MEDIAN_NINES];
  for (let i = 7; i / STEPS_PER_NINE < last; i++) nines.push(i / STEPS_PER_NINE);
  nines.push(Math.round(last * 1_000) / 1_000);
  const values = distributions.map((buckets, i) => {
    const total = totals[i] as number;
    return nines.map((nine) => {
      // A percentile beyond one value in so many is nobody's.
      if (total === 0 || 10 ** nine > total * 1.000_001) return null;
      return rounded(valueAt(buckets, (1 - 10 ** -nine) * total));
    });
  });
  return { nines, values };
}

/** The value of which at most `rank` values lie below. */
export function valueAt(buckets: readonly (readonly [number, number])[], rank: number): number {
  let below = 0;
  for (const [value, count] of buckets) {
    below += count;
    if (below > rank + 1e-9) return value;
  }
  return buckets.at(-1)?.[0] ?? 0;
}

/** Mean of a list over consecutive groups, so that `points` are left at most. */
export function thinned(values: readonly number[], points: number): number[] {
  const group = Math.max(1, Math.ceil(values.length / points));
  const thin: number[] = [];
  for (let at = 0; at < values.length; at += group) {
    const part = values.slice(at, at + group);
    thin.push(rounded(part.reduce((sum, value) => sum + value, 0) / part.length));
  }
  return thin;
}

export interface Timeline {
  /** Seconds, the middle of each point. */
  readonly seconds: readonly number[];
  readonly values: readonly (readonly (number | null)[])[];
}

/** Mean over the cells of each series, thinned; series may be of different lengths. */
export function timeline(
  series: readonly (readonly FlapCell[])[],
  of: (throughput: Throughput) => readonly number[],
  points: number,
): Timeline {
  const bucketMs = series[0]?.[0]?.throughput.bucketMs ?? 100;
  const means = series.map((cells) => mean(cells.map((cell) => of(cell.throughput))));
  const longest = Math.max(0, ...means.map((values) => values.length));
  const group = Math.max(1, Math.ceil(longest / points));
  const seconds: number[] = [];
  for (let at = 0; at < longest; at += group) {
    const width = Math.min(group, longest - at);
    seconds.push(Math.round((at + width / 2) * bucketMs) / 1_000);
  }
  const padded = means.map((values) => {
    const thin: (number | null)[] = thinned(values, Math.ceil(values.length / group));
    while (thin.length < seconds.length) thin.push(null);
    return thin.slice(0, seconds.length);
  });
  return { seconds, values: padded };
}

/** Item by item, as far as the shortest goes. */
function mean(lists: readonly (readonly number[])[]): number[] {
  const length = Math.min(...lists.map((list) => list.length));
  if (lists.length === 0 || !Number.isFinite(length)) return [];
  return Array.from({ length }, (_, i) => {
    const sum = lists.reduce((total, list) => total + (list[i] ?? 0), 0);
    return sum / lists.length;
  });
}
