/** Scale beyond one machine: what a mesh of hundreds of nodes and many million flows would cost. */
import { DIRECTORY_SETTINGS } from '../../src/sync/directory/settings.ts';
import { Random } from '../../src/sync/random.ts';
import { BenchError } from '../measure/errors.ts';
import { describeMachine } from '../measure/machine.ts';
import type { Progress } from '../measure/progress.ts';
import { cities } from './cities.ts';
import { measureDetour } from './detour.ts';
import { type Fleet, fleetOf, flowsByBucket } from './fleet.ts';
import { HomesLoad } from './homes-load.ts';
import { FIBRE_FACTOR, LatencyMatrix } from './latency.ts';
import { MembershipWorld } from './membership-world.ts';
import { bytesPerTicket } from './memory.ts';
import { OwnerRun } from './owner-run.ts';
import { measurePairs } from './pair-world.ts';
import type { DepartureFigures, ScaleFigures, ScaleOptions, ScaleReport } from './report.ts';

/** Own tickets of the simulated owner at most; with more only its pace would be measured longer. */
const OWNER_FLOWS_MAX = 400_000;
const MEMORY_TICKETS = 200_000;
const DETOUR_FLOWS = 200_000;

/** Steps that `progress.done` will be called for. */
export const SCALE_STEPS = 6;

export const SCALE_DEFAULTS: ScaleOptions = {
  nodes: 300,
  flows: 100_000_000,
  lifeS: 300,
  loss: 0.001,
  fibreFactor: FIBRE_FACTOR,
  seed: 1,
};

/** @throws BenchError `ERR_BENCH_USAGE` for a mesh that cannot be. */
function check({ nodes, flows, lifeS, loss, fibreFactor }: ScaleOptions): void {
  const wrong = (text: string) => new BenchError(text, 'ERR_BENCH_USAGE');
  if (!Number.isInteger(nodes) || nodes < 10 || nodes > 500) {
    throw wrong('--nodes must be a whole number from 10 to 500');
  }
  if (!Number.isInteger(flows) || flows < 1_000 || flows > 10_000_000_000) {
    throw wrong('--flows must be a whole number from 1,000 to 10,000,000,000');
  }
  if (!(lifeS >= 1 && lifeS <= 86_400)) throw wrong('--life must be from 1 to 86,400 seconds');
  if (!(loss >= 0 && loss <= 0.2)) throw wrong('--loss must be a share from 0 to 0.2');
  if (!(fibreFactor >= 1 && fibreFactor <= 5)) throw wrong('--fibre-factor must be from 1 to 5');
}

/**
 * @param command What was typed, for the report.
 * @throws BenchError for options out of bounds.
 */
export async function runScale(
  options: ScaleOptions,
  command: string,
  versions: Readonly<Record<string, string>>,
  progress: Progress,
): Promise<ScaleReport> {
  check(options);
  const { nodes, flows, loss, seed } = options;
  const random = new Random(seed);
  const fleet = fleetOf(cities, nodes, flows);
  const matrix = new LatencyMatrix(fleet.cities, options.fibreFactor);
  const meanDelayMs = meanOverNodes(fleet, matrix);
  const step = async <T>(text: string, work: () => T): Promise<T> => {
    progress.step(text);
    // The progress line and Ctrl-C get a turn.
    await new Promise((resolve) => setImmediate(resolve));
    const result = work();
    progress.done();
    return result;
  };

  const { load, homes } = await step('table of homes', () => {
    const load = new HomesLoad(fleet, flowsByBucket(flows, 65_536, random));
    const kept = [...load.ticketsKept()];
    const mean = kept.reduce((sum, one) => sum + one, 0) / nodes;
    const homes = { mean, min: Math.min(...kept), max: Math.max(...kept) };
    return { load, homes };
  });
  const owned = fleet.nodes.map((node) => node.flows);
  const ownedMost = Math.max(...owned);
  const ownedMean = flows / nodes;

  const detours = await step('detours', () =>
    (['nearest', 'anywhere'] as const).map((entry) =>
      measureDetour(fleet, load.homes.rows, matrix, entry, DETOUR_FLOWS, seed + 1),
    ),
  );
  const ticketBytes = await step('memory', () => bytesPerTicket(MEMORY_TICKETS));
  const pairs = await step('flow tickets between two nodes', () =>
    measurePairs({ nodes, flows, loss, meanDelayMs, seed }, [
      options.lifeS / 5,
      options.lifeS,
      options.lifeS * 6,
    ]),
  );

  const many = Math.max(1, Math.round(nodes / 10));
  const owner = owned.indexOf(ownedMost);
  const others = fleet.nodes.map((_, i) => i).filter((i) => i !== owner);
  random.shuffle(others);
  const goneOf = (count: number) => others.slice(0, count);
  const { single, tenth } = await step('publishing again', () => {
    const run = new OwnerRun({
      ids: fleet.nodes.map((node) => node.id),
      owner,
      flows: Math.min(OWNER_FLOWS_MAX, Math.round(ownedMost)),
      loss,
      delayMs: (node) => matrix.ms(fleet.nodes[owner]!.pop, fleet.nodes[node]!.pop),
      seed: seed + 2,
    });
    return { single: run.depart(goneOf(1)), tenth: run.depart(goneOf(many)) };
  });

  const membership = await step(`membership of ${nodes} nodes`, () => {
    const world = new MembershipWorld(nodes, loss, meanDelayMs, seed + 3);
    const traffic = world.traffic();
    const events = [
      world.depart('leave', 1),
      world.depart('crash', 1),
      world.depart('crash', Math.round(world.up / 10)),
      world.depart('leave', Math.round(world.up / 10)),
    ];
    return { traffic, events };
  });

  const pace = DIRECTORY_SETTINGS.republishPerSecond;
  const departures = membership.events.map((awareness): DepartureFigures => {
    const isSingle = awareness.nodes === 1;
    const count = isSingle ? 1 : many;
    const republication = isSingle ? single : tenth;
    const departure = load.departure(goneOf(count));
    const bytesPerTicketMoved = republication.bytes / republication.tickets;
    // What the pace alone would take where the simulated owner has fewer tickets than the largest.
    const shortOf = ownedMost / Math.min(OWNER_FLOWS_MAX, ownedMost);
    const tookMs = Math.max(
      republication.tookMs,
      ((republication.tickets * shortOf) / pace) * 1_000,
    );
    return {
      departing: awareness.departing,
      nodes: count,
      awareness,
      departure,
      bytesPerTicketMoved,
      bytesMoved: departure.moved * bytesPerTicketMoved,
      largestOwnerTickets: Math.round(republication.tickets * shortOf),
      largestOwnerMs: tookMs,
      anyHomeMs: awareness.skipMaxMs,
      allHomesMs: awareness.tableMaxMs + tookMs,
    };
  });

  const figures: ScaleFigures = {
    pops: fleet.cities.length,
    meanDelayMs,
    homes,
    owned: { mean: ownedMean, max: ownedMost },
    birthsPerNodePerS: flows / options.lifeS / nodes,
    membership: membership.traffic,
    pairs,
    departures,
    detours,
    ticketBytes,
  };
  return {
    bench: 'scale',
    takenAt: new Date().toISOString(),
    command,
    machine: describeMachine(),
    versions,
    method: [
      'A simulation: nothing here was measured on a network. The real code runs on a virtual clock.',
    ],
    options,
    figures,
  };
}

/** One-way delay between two different nodes, over all pairs. */
function meanOverNodes(fleet: Fleet, matrix: LatencyMatrix): number {
  const counts = fleet.cities.map(() => 0);
  for (const node of fleet.nodes) counts[node.pop]!++;
  let sum = 0;
  let pairs = 0;
  for (const [i, a] of counts.entries()) {
    for (const [j, b] of counts.entries()) {
      const count = i === j ? a * (a - 1) : a * b;
      sum += count * matrix.ms(i, j);
      pairs += count;
    }
  }
  return pairs === 0 ? 0 : sum / pairs;
}
