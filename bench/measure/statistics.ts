/** Statistics of repeated measurements. A core without IO. */

/** How a set of values lies. All in the unit of the values. */
export interface Spread {
  readonly count: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** First and third quartile: half of all values lie between them. */
  readonly q1: number;
  readonly q3: number;
}

/**
 * The value below which the share `p` (0 to 1) of the values lies, interpolated between neighbours
 * (Hyndman and Fan 1996, type 7, which spreadsheets use).
 * Throws a RangeError for no values, a value that is not a number, or `p` out of bounds.
 */
export function quantile(values: readonly number[], p: number): number {
  if (values.length === 0) throw new RangeError('no values');
  if (!(p >= 0 && p <= 1)) throw new RangeError(`${p} is no share from 0 to 1`);
  if (values.some((value) => !Number.isFinite(value))) throw new RangeError('a value is no number');
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * p;
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (position - below);
}

/** Throws a RangeError for no values, or one that is not a number. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    count: values.length,
    median: quantile(values, 0.5),
    min: quantile(values, 0),
    max: quantile(values, 1),
    q1: quantile(values, 0.25),
    q3: quantile(values, 0.75),
  };
}
