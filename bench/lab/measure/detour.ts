/** What the way over another PoP adds to a round trip. Pure. */
import { quantile } from '../../measure/statistics.ts';
import { distribution } from './gaps.ts';
import type { SessionRecord } from './ledger.ts';
import type { FlipRecord } from './record.ts';

/**
 * Median round trip of echoes that were sent while the route led elsewhere than before the first
 * flip, minus the median of those before it, milliseconds. `null` when there are none of either.
 *
 * @param sessions Those whose echoes come in a steady beat.
 * @param beganAtMs Zero of the flips' times, on the clock of the sessions.
 */
export function addedRttMs(
  sessions: readonly SessionRecord[],
  flips: readonly FlipRecord[],
  beganAtMs: number,
): number | null {
  const [first] = flips;
  if (first === undefined) return null;
  const moves = flips.map(({ atMs, convergenceMs, to }) => ({
    fromMs: beganAtMs + atMs,
    settledMs: beganAtMs + atMs + convergenceMs,
    away: to !== first.from,
  }));
  const direct: number[] = [];
  const detoured: number[] = [];
  for (const { echoAtMs, rttMs } of sessions) {
    let next = 0;
    for (const [index, atMs] of echoAtMs.entries()) {
      const tripMs = rttMs[index] ?? 0;
      const sentMs = atMs - tripMs;
      while (next < moves.length && moves[next]!.settledMs <= sentMs) next += 1;
      const last = moves[next - 1];
      const coming = moves[next];
      if (coming !== undefined && atMs >= coming.fromMs) continue;
      if (last === undefined) direct.push(tripMs);
      else if (last.away) detoured.push(tripMs);
    }
  }
  if (direct.length === 0 || detoured.length === 0) return null;
  const added = quantile(detoured, 0.5) - quantile(direct, 0.5);
  return distribution([added]).p50;
}
