/** Whole distributions in few numbers. Pure. */
import { build } from 'hdr-histogram-js';

/**
 * Values in buckets of growing width (HdrHistogram with two significant digits), so that whole
 * distributions can be drawn and added up. All in the unit of the values, which have three decimals.
 */
export interface Histogram {
  readonly count: number;
  /** Percentiles at the upper end of their bucket; `null` where there is no value. */
  readonly min: number | null;
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
  readonly max: number | null;
  /** `[upper end of the bucket, values in it]`, ascending, buckets without values left out. */
  readonly buckets: readonly (readonly [value: number, count: number])[];
}

/** Thousandths of the unit: an hour in milliseconds. */
const HIGHEST = 3_600_000_000;

const recorder = () =>
  build({
    bitBucketSize: 64,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST,
    numberOfSignificantValueDigits: 2,
    useWebAssembly: false,
  });

/** Widths follow from the settings alone, so one recorder answers for all. */
const ruler = recorder() as ReturnType<typeof recorder> & {
  highestEquivalentValue(value: number): number;
};

/** Values below 0 count as 0, those beyond an hour (of milliseconds) as an hour. */
export function histogramOf(values: readonly number[]): Histogram {
  const empty = { min: null, mean: null, p50: null, p90: null, p99: null, p999: null, max: null };
  if (values.length === 0) return { count: 0, ...empty, buckets: [] };
  const recorded = recorder();
  const counts = new Map<number, number>();
  let lowest = HIGHEST;
  let highest = 0;
  let sum = 0;
  for (const value of values) {
    const thousandths = Math.min(HIGHEST, Math.max(0, Math.round(value * 1_000)));
    recorded.recordValue(thousandths);
    lowest = Math.min(lowest, thousandths);
    highest = Math.max(highest, thousandths);
    sum += thousandths;
    const upper = ruler.highestEquivalentValue(thousandths);
    counts.set(upper, (counts.get(upper) ?? 0) + 1);
  }
  const at = (percentile: number) =>
    Math.min(highest, recorded.getValueAtPercentile(percentile)) / 1_000;
  return {
    count: values.length,
    min: lowest / 1_000,
    mean: Math.round(sum / values.length) / 1_000,
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: highest / 1_000,
    buckets: [...counts]
      .sort(([a], [b]) => a - b)
      .map(([upper, count]) => [upper / 1_000, count] as const),
  };
}
