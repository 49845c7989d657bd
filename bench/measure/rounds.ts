/**
 * Contenders are measured in turn, round after round, so that whatever slows the machine for a
 * while slows all of them; a ratio compares values of one round only. A core without IO.
 */

/**
 * Who is measured when in a round, counted from 0. The start moves on with each round and every
 * second round runs backwards, so that nobody always comes after the same neighbour.
 */
export function orderOfRound<T>(contenders: readonly T[], round: number): T[] {
  const start = contenders.length === 0 ? 0 : Math.floor(round / 2) % contenders.length;
  const order = [...contenders.slice(start), ...contenders.slice(0, start)];
  return round % 2 === 0 ? order : order.reverse();
}

/**
 * Value by value `values / base`. Rounds that lack one of the two are left out; so are those whose
 * base is 0, which is what a measurement below the resolution of its clock gives.
 */
export function ratiosPerRound(
  values: readonly (number | undefined)[],
  base: readonly (number | undefined)[],
): number[] {
  const ratios: number[] = [];
  for (const [round, value] of values.entries()) {
    const divisor = base[round];
    if (value !== undefined && divisor !== undefined && divisor > 0) ratios.push(value / divisor);
  }
  return ratios;
}

/** Time left, judged by the time that the steps so far took; `undefined` before the first is done. */
export function remainingMs(done: number, total: number, elapsedMs: number): number | undefined {
  if (done <= 0) return undefined;
  return Math.max(0, Math.round((elapsedMs / done) * (total - done)));
}
