/**
 * CLOCK_MONOTONIC in milliseconds: the same count in every process of this machine, so that what
 * a client saw and when the route moved can be put in one order.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
