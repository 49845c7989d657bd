/**
 * Reads what `show protocols all` says of a BGP session's updates:
 *
 * ```
 *     Route change stats:     received   rejected   filtered    ignored   accepted
 *       Import updates:              3          0          0          0          3
 *       Import withdraws:            1          0        ---          0          1
 * ```
 */
export interface ChannelCounters {
  /** Routes that the neighbour announced, changes included. */
  readonly updates: number;
  /** Routes that it took back. */
  readonly withdrawals: number;
}

/** Sum of a session's channels. Lines that are something else are left out. Never throws. */
export function parseChannelCounters(lines: readonly string[]): ChannelCounters {
  const sum = { updates: 0, withdrawals: 0 };
  for (const line of lines) {
    const match = /^\s*Import (updates|withdraws):\s+(\d{1,15})(?:\s|$)/.exec(line);
    if (match === null) continue;
    sum[match[1] === 'updates' ? 'updates' : 'withdrawals'] += Number(match[2]);
  }
  return sum;
}
