/** How fast the agent reaches the kernel's maps, and what a ticket costs there. */
import type { Sample, ScenarioRun } from '../../measure/report.ts';
import { MapBench } from '../maps.ts';
import { alternate, type DatapathScenario, type Work } from './scenario.ts';

/** A million a second. */
const NS_MOST = 1_000;
const BYTES_MOST = 128;
const UPDATES = ['one by one', 'batches'] as const;
const READS = ['map look-ups', 'ring'] as const;
const BARE = 'key and value alone';

const sample = (count: number, cpuMs: number): Sample => ({
  value: (cpuMs * 1e6) / count,
  served: count,
  failed: 0,
  perSecond: count / (cpuMs / 1_000),
});

function withMaps<T>({ size }: Work, measure: (bench: MapBench) => T): T {
  const bench = new MapBench(size.tickets, size.events);
  try {
    return measure(bench);
  } finally {
    bench.close();
  }
}

async function updates(work: Work): Promise<ScenarioRun> {
  const { tickets } = work.size;
  const again: Sample[] = [];
  const contenders = await alternate(work, 'map-updates', UPDATES, async (name) =>
    withMaps(work, (bench) => {
      if (name === 'one by one') return sample(tickets, bench.updateOneByOne());
      const fresh = sample(tickets, bench.update());
      again.push(sample(tickets, bench.update()));
      return fresh;
    }),
  );
  const full = 'batches, again';
  return {
    name: 'map-updates',
    about:
      'tickets of other nodes into an empty map, by a system call each or in batches of 4,096; and the batches into a full map',
    unit: 'ns CPU/ticket',
    bases: ['one by one'],
    targets: ['batches', full].map((contender) => ({ contender, base: null, atMost: NS_MOST })),
    contenders: [...contenders, { name: full, samples: again }],
    absent: [],
  };
}

async function reads(work: Work): Promise<ScenarioRun> {
  const { events } = work.size;
  const contenders = await alternate(work, 'event-drain', READS, async (name) =>
    withMaps(work, (bench) => {
      if (name === 'ring') return sample(events, bench.drain());
      bench.update();
      return sample(events, bench.lookUp());
    }),
  );
  return {
    name: 'event-drain',
    about:
      'events of the programs, read from the ring; beside asking a map for as many entries, by a system call each',
    unit: 'ns CPU/event',
    bases: ['map look-ups'],
    targets: [{ contender: 'ring', base: null, atMost: NS_MOST }],
    contenders,
    absent: [],
  };
}

/** The same in every round: one is enough. */
function bytes(work: Work): ScenarioRun[] {
  const once = (value: number) => [{ value, served: 1, failed: 0 }];
  const maps = { 'ticket-bytes': 'hf_tickets', 'own-ticket-bytes': 'hf_own' } as const;
  return withMaps(work, (bench) =>
    Object.entries(maps).map(([name, map]): ScenarioRun => {
      const { taken, bare } = bench.entryBytes(map);
      return {
        name,
        about: `kernel memory of the map ${map}, for each of its entries; beside what an entry holds`,
        unit: 'bytes',
        bases: [BARE],
        targets: [{ contender: 'map', base: null, atMost: BYTES_MOST }],
        contenders: [
          { name: 'map', samples: once(taken) },
          { name: BARE, samples: once(bare) },
        ],
        absent: [],
      };
    }),
  );
}

export const maps: DatapathScenario = {
  name: 'maps',
  programs: { ip: 'iproute2' },
  steps: ({ rounds }) => (UPDATES.length + READS.length) * rounds,
  run: async (work) => [await updates(work), await reads(work), ...bytes(work)],
};
