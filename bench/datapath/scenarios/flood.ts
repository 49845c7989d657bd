/**
 * A flood of acknowledgements of made-up flows, the worst that a stranger can send: none has a socket
 * or a ticket, so an entry asks the home about each, as often as its limit allows.
 */
import { BenchError } from '../../measure/errors.ts';
import type { Sample } from '../../measure/report.ts';
import { Ground, NOBODY, PORT, WAYS, type Way } from '../ground.ts';
import { alternate, type DatapathScenario } from './scenario.ts';

/** One FIND and its answer. */
const TUNNEL_PACKETS_MOST = 2;
const NAMES: readonly Way[] = ['healed', 'plain'];

export const flood: DatapathScenario = {
  name: 'flood',
  programs: { ethtool: 'ethtool', ip: 'iproute2' },
  steps: ({ rounds }) => 2 * rounds,

  async run(work) {
    const { sliceMs, floodPacketsPerS } = work.size;
    const ground = await Ground.create(work.cpus);
    const caused: Sample[] = [];
    try {
      ground.ownerIsHome();
      ground.separateOwner(true);
      ground.route('entry');
      let seed = 0;
      const contenders = await alternate(work, 'flood', NAMES, async (way) => {
        const madeUp = { port: PORT, sources: NOBODY, segment: 'ack', seed: ++seed } as const;
        const before = ground.read(way);
        const sentBefore = ground.tunnelPackets();
        await ground.flood({
          host: WAYS[way].address,
          packetsPerS: floodPacketsPerS,
          forMs: sliceMs,
          madeUp,
        });
        const after = ground.read(way);
        const count = after.packets - before.packets;
        if (count <= 0) {
          throw new BenchError('no flood arrived at the entry', 'ERR_BENCH_LOAD');
        }
        if (way === 'healed') {
          const tunnelled = ground.tunnelPackets() - sentBefore;
          caused.push({ value: tunnelled / count, served: count, failed: 0 });
        }
        const micros = (after.cpuNs - before.cpuNs) / 1_000;
        return {
          value: micros / count,
          served: count,
          failed: 0,
          busyShare: micros / 1_000 / sliceMs,
          perSecond: count / (sliceMs / 1_000),
        };
      });
      return [
        {
          name: 'flood',
          about:
            'acknowledgements of made-up flows; processor time of the entry’s receiving thread',
          unit: 'µs CPU/packet',
          bases: ['plain'],
          targets: [],
          contenders,
          absent: [],
        },
        {
          name: 'flood-tunnel',
          about:
            'tunnel packets of all nodes that the flood causes: a count, without a base, as plain routing has none',
          unit: 'tunnel packets/packet',
          bases: [],
          targets: [{ contender: 'healed', base: null, atMost: TUNNEL_PACKETS_MOST }],
          contenders: [{ name: 'healed', samples: caused }],
          absent: [],
        },
      ];
    } finally {
      ground.close();
    }
  },
};
