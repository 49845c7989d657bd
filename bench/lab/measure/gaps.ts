/** Gaps between consecutive echoes of one stream: what a user of an interactive session feels. */

/** A stretch of time, milliseconds; `toMs` does not belong to it. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Distribution {
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/**
 * The windows in which a flip's effect is looked for: from each flip on for `windowMs`, or until
 * the next flip if that comes first.
 */
export function flipWindows(flipsAtMs: readonly number[], windowMs: number): Window[] {
  return flipsAtMs.map((fromMs, index) => ({
    fromMs,
    toMs: Math.min(fromMs + windowMs, flipsAtMs[index + 1] ?? Number.POSITIVE_INFINITY),
  }));
}

/**
 * The gaps that touch any of the windows: those that end in or after one and begin before its end.
 * A gap that was open when the flip came therefore counts in full, and each gap counts once; one
 * that never ended is no gap but a reset or a stall.
 *
 * @param windows In order of time, not overlapping.
 */
export function gapsTouching(arrivalsMs: readonly number[], windows: readonly Window[]): number[] {
  const gaps: number[] = [];
  let next = 0;
  for (let index = 1; index < arrivalsMs.length; index += 1) {
    const begin = arrivalsMs[index - 1]!;
    const end = arrivalsMs[index]!;
    while (next < windows.length && windows[next]!.toMs <= begin) next += 1;
    const window = windows[next];
    if (window !== undefined && end >= window.fromMs) gaps.push(end - begin);
  }
  return gaps;
}

/** The gaps that lie entirely within a window. */
export function gapsWithin(arrivalsMs: readonly number[], window: Window): number[] {
  const gaps: number[] = [];
  for (let index = 1; index < arrivalsMs.length; index += 1) {
    const begin = arrivalsMs[index - 1]!;
    const end = arrivalsMs[index]!;
    if (begin >= window.fromMs && end < window.toMs) gaps.push(end - begin);
  }
  return gaps;
}

/** Percentiles by nearest rank, rounded to 0.001; `null` where there is no value. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number | null => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    return value === undefined ? null : Math.round(value * 1_000) / 1_000;
  };
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
