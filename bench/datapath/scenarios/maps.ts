/** How fast the agent reaches the kernel's maps, and what a ticket costs there. */
import type { Sample } from '../../measure/report.ts';
import { MapBench } from '../maps.ts';
import { alternate, type DatapathScenario } from './scenario.ts';

/** A million a second. */
const NS_MOST = 1_000;
const BYTES_MOST = 128;

export const maps: DatapathScenario = {
  name: 'maps',
  programs: { ip: 'iproute2' },
  steps: ({ rounds }) => rounds,

  async run(work) {
    const { tickets, events } = work.size;
    const drained: Sample[] = [];
    const again: Sample[] = [];
    const bytes = { other: 0, own: 0 };
    const sample = (count: number, cpuMs: number): Sample => ({
      value: (cpuMs * 1e6) / count,
      served: count,
      failed: 0,
      perSecond: count / (cpuMs / 1_000),
    });
    const [fresh] = await alternate(work, 'maps', ['new'], async () => {
      const bench = new MapBench(tickets, events);
      try {
        const first = sample(tickets, bench.update());
        again.push(sample(tickets, bench.update()));
        drained.push(sample(events, bench.drain()));
        bytes.other = bench.entryBytes('hf_tickets');
        bytes.own = bench.entryBytes('hf_own');
        return first;
      } finally {
        bench.close();
      }
    });
    const once = (value: number): Sample => ({ value, served: 1, failed: 0 });
    const none = { bases: [], absent: [] };
    return [
      {
        ...none,
        name: 'map-updates',
        about: 'tickets of other nodes, written in batches of 4,096, into an empty and a full map',
        unit: 'ns CPU/ticket',
        targets: ['new', 'again'].map((contender) => ({ contender, base: null, atMost: NS_MOST })),
        contenders: [fresh!, { name: 'again', samples: again }],
      },
      {
        ...none,
        name: 'event-drain',
        about: 'events of the programs, read from the ring',
        unit: 'ns CPU/event',
        targets: [{ contender: 'events', base: null, atMost: NS_MOST }],
        contenders: [{ name: 'events', samples: drained }],
      },
      {
        ...none,
        name: 'ticket-bytes',
        about: 'kernel memory of a map, for each of its entries',
        unit: 'bytes',
        targets: ['of others', 'own'].map((contender) => ({
          contender,
          base: null,
          atMost: BYTES_MOST,
        })),
        contenders: [
          { name: 'of others', samples: [once(bytes.other)] },
          { name: 'own', samples: [once(bytes.own)] },
        ],
      },
    ];
  },
};
