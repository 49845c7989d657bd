/** Counts of one route. Plain numbers, because they are written on every request. A core. */

/** Upper bounds of the duration buckets, seconds. */
export const durationBoundsS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;

export class RouteCounts {
  /** By the first digit of the status; index 0 is for requests that ended without an answer. */
  readonly byClass = new Float64Array(6);
  /** One more than there are bounds: the last is for everything longer. */
  readonly durations = new Float64Array(durationBoundsS.length + 1);
  durationSumS = 0;
  requestBytes = 0;
  responseBytes = 0;
  retries = 0;
  tunnels = 0;
  tunnelsOpen = 0;

  done(status: number, durationMs: number, requestBytes: number, responseBytes: number): void {
    const statusClass = status >= 100 && status < 600 ? Math.trunc(status / 100) : 0;
    this.byClass[statusClass] = (this.byClass[statusClass] as number) + 1;
    const seconds = durationMs / 1_000;
    let bucket = 0;
    while (bucket < durationBoundsS.length && seconds > (durationBoundsS[bucket] as number))
      bucket++;
    this.durations[bucket] = (this.durations[bucket] as number) + 1;
    this.durationSumS += seconds;
    this.requestBytes += requestBytes;
    this.responseBytes += responseBytes;
  }
}
