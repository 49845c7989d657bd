/** How much longer packets travel while the route points elsewhere. A core without IO. */
import { Random } from '../../src/sync/random.ts';
import { quantile } from '../measure/statistics.ts';
import type { Fleet } from './fleet.ts';
import { type LatencyMatrix, LOCAL_MS } from './latency.ts';

/** Where a moved route leads: to the PoP nearest to the owner's, or to any by its share of flows. */
export type EntryModel = 'nearest' | 'anywhere';

export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly mean: number;
}

export interface Detour {
  readonly entry: EntryModel;
  readonly flows: number;
  /** One way, entry to owner: what every packet takes once the entry knows the owner. */
  readonly knownMs: Quantiles;
  /** One way, entry to home to owner: what packets take until then. */
  readonly firstMs: Quantiles;
  /** From the first packet until the entry knows the owner: to the home and back. */
  readonly learnMs: Quantiles;
  /** Flows whose first packet needs no home, because the entry is one. */
  readonly directShare: number;
}

/** Samples flows with owners and entries by the model and homes by the real table. */
export function measureDetour(
  fleet: Fleet,
  rows: Uint16Array,
  matrix: LatencyMatrix,
  entry: EntryModel,
  flows: number,
  seed: number,
): Detour {
  const random = new Random(seed);
  const { nodes, shares } = fleet;
  const buckets = rows.length / 3;
  const byPop: number[][] = shares.map(() => []);
  for (const [i, node] of nodes.entries()) byPop[node.pop]!.push(i);
  const wayMs = (a: number, b: number) =>
    a === b ? 0 : matrix.ms(nodes[a]!.pop, nodes[b]!.pop) || LOCAL_MS;
  const drawPop = (): number => {
    let left = random.float();
    for (const [pop, share] of shares.entries()) {
      left -= share;
      if (left < 0) return pop;
    }
    return shares.length - 1;
  };
  const drawNode = (pop: number): number => byPop[pop]![random.below(byPop[pop]!.length)]!;
  const known: number[] = [];
  const first: number[] = [];
  const learn: number[] = [];
  let direct = 0;
  for (let i = 0; i < flows; i++) {
    const ownerPop = drawPop();
    const owner = drawNode(ownerPop);
    let entryPop = matrix.nearest(ownerPop);
    if (entry === 'anywhere')
      do entryPop = drawPop();
      while (entryPop === ownerPop);
    const at = drawNode(entryPop);
    const bucket = random.below(buckets);
    const row = rows.subarray(bucket * 3, bucket * 3 + 3);
    known.push(wayMs(at, owner));
    if (row.includes(at)) {
      direct++;
      first.push(wayMs(at, owner));
      learn.push(0);
    } else {
      const home = row[0]!;
      first.push(wayMs(at, home) + wayMs(home, owner));
      learn.push(home === owner ? 0 : 2 * wayMs(at, home));
    }
  }
  return {
    entry,
    flows,
    knownMs: quantilesOf(known),
    firstMs: quantilesOf(first),
    learnMs: quantilesOf(learn),
    directShare: direct / flows,
  };
}

function quantilesOf(values: readonly number[]): Quantiles {
  return {
    p50: quantile(values, 0.5),
    p90: quantile(values, 0.9),
    p99: quantile(values, 0.99),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  };
}
