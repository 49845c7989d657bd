/** Traffic that arrives at the wrong node, against the same traffic merely routed by that node. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ETHERNET_BYTES } from '../../../src/datapath/layout.ts';
import { BenchError } from '../../measure/errors.ts';
import type { Sample, ScenarioRun } from '../../measure/report.ts';
import { CLIENT, Ground, PORT, WAYS, type Way } from '../ground.ts';
import { ACK, tcpFrame } from '../packets.ts';
import { alternate, type DatapathScenario, type DatapathSize, type Work } from './scenario.ts';

const SINK = fileURLToPath(new URL('../sink.ts', import.meta.url));
/** Time against time: 0.95 of the rate, 0.8 of the packets. */
const BULK_MOST = 1.05;
const PACKET_MOST = 1.25;
const NAMES: readonly Way[] = ['healed', 'plain'];

interface Sender {
  readonly child: ChildProcess;
  readonly port: number;
}
type Senders = Record<Way, Sender>;

async function ask(child: ChildProcess, word: string): Promise<Record<string, number>> {
  child.send(word);
  const [answer] = (await once(child, 'message')) as [Record<string, number>];
  return answer;
}

/** Opens one connection per way with the owner, then lets the healed one arrive at the entry. */
async function connectSenders(ground: Ground): Promise<Senders> {
  const senders = {} as Senders;
  for (const way of NAMES) {
    const child = ground.start(ground.client, SINK, 'client', WAYS[way].address);
    const [hello] = (await once(child, 'message')) as [{ port: number }];
    senders[way] = { child, port: hello.port };
    ground.teach(way, hello.port);
  }
  ground.route('entry');
  return senders;
}

/** Time to move a gigabyte over one connection. */
async function bulk({ child: sender }: Sender, forMs: number): Promise<Sample> {
  sender.send('up');
  await sleep(forMs / 4);
  const before = await ask(sender, 'bytes');
  const startedMs = performance.now();
  await sleep(forMs);
  const after = await ask(sender, 'bytes');
  const elapsedMs = performance.now() - startedMs;
  sender.send('stop');
  await sleep(100);
  const bytes = after.bytes! - before.bytes!;
  if (bytes <= 0) throw new BenchError('nothing was transferred', 'ERR_BENCH_LOAD');
  return { value: elapsedMs / (bytes / 1e9), served: bytes, failed: 0 };
}

/** Processor time of the entry for each packet that arrives while `load` goes on. */
async function perPacket(
  ground: Ground,
  way: Way,
  forMs: number,
  load: () => Promise<void>,
): Promise<Sample> {
  const before = ground.read(way);
  await load();
  const after = ground.read(way);
  const count = after.packets - before.packets;
  if (count <= 0) throw new BenchError('no packet arrived at the entry', 'ERR_BENCH_LOAD');
  const micros = (after.cpuNs - before.cpuNs) / 1_000;
  return {
    value: micros / count,
    served: count,
    failed: 0,
    busyShare: micros / 1_000 / forMs,
    perSecond: count / (forMs / 1_000),
  };
}

/** Acknowledgements of a download, which nothing joins: as many as the machine has time for. */
async function download(
  ground: Ground,
  way: Way,
  { child }: Sender,
  forMs: number,
): Promise<Sample> {
  child.send('down');
  await sleep(forMs / 4);
  const sample = await perPacket(ground, way, forMs, () => sleep(forMs));
  child.send('stop');
  await sleep(100);
  return sample;
}

/**
 * Bare acknowledgements of the session, at a fixed rate. They are outside of its window, so that its
 * owner takes them and says nothing.
 */
function steady(ground: Ground, way: Way, { port }: Sender, size: DatapathSize): Promise<Sample> {
  const { address } = WAYS[way];
  const segment = { from: CLIENT, fromPort: port, to: address, toPort: PORT, flags: ACK };
  return perPacket(ground, way, size.sliceMs, () =>
    ground.flood({
      host: address,
      packetsPerS: size.packetsPerS,
      forMs: size.sliceMs,
      packet: tcpFrame(segment).toString('hex', ETHERNET_BYTES),
    }),
  );
}

async function onGround(
  work: Work,
  separateOwner: boolean,
  about: Pick<ScenarioRun, 'name' | 'about' | 'unit' | 'targets'>,
  measure: (ground: Ground, way: Way, sender: Sender) => Promise<Sample>,
): Promise<ScenarioRun[]> {
  const ground = await Ground.create(work.cpus);
  try {
    const senders = await connectSenders(ground);
    ground.separateOwner(separateOwner);
    const contenders = await alternate(work, about.name, NAMES, (way) =>
      measure(ground, way, senders[way]),
    );
    return [{ ...about, bases: ['plain'], contenders, absent: [] }];
  } finally {
    ground.close();
  }
}

const programs = { ethtool: 'ethtool', ip: 'iproute2' } as const;
const steps: DatapathScenario['steps'] = ({ rounds }) => 2 * rounds;

export const bulkRate: DatapathScenario = {
  name: 'bulk',
  programs,
  steps,
  run: (work) =>
    onGround(
      work,
      false,
      {
        name: 'bulk',
        about: 'one upload, 1,500-byte frames, GRO, through the entry to the owner',
        unit: 'ms/GB',
        targets: [{ contender: 'healed', base: 'plain', atMost: BULK_MOST }],
      },
      (_ground, _way, sender) => bulk(sender, work.size.sliceMs),
    ),
};

export const entryPackets: DatapathScenario = {
  name: 'packets',
  programs,
  steps,
  run: (work) =>
    onGround(
      work,
      true,
      {
        name: 'packets',
        about: 'acknowledgements of a download; processor time of the entry’s receiving thread',
        unit: 'µs CPU/packet',
        targets: [{ contender: 'healed', base: 'plain', atMost: PACKET_MOST }],
      },
      (ground, way, sender) => download(ground, way, sender, work.size.sliceMs),
    ),
};

/** Here plain forwarding is at its best: one route lookup does for a whole list of packets. */
export const entryBursts: DatapathScenario = {
  name: 'bursts',
  programs,
  steps,
  run: (work) =>
    onGround(
      work,
      true,
      {
        name: 'bursts',
        about: 'bare acknowledgements of one session, 200 at once every 10 ms; as above',
        unit: 'µs CPU/packet',
        targets: [],
      },
      (ground, way, sender) => steady(ground, way, sender, work.size),
    ),
};

export const pathPackets: DatapathScenario = {
  name: 'path',
  programs,
  steps,
  run: (work) =>
    onGround(
      work,
      false,
      {
        name: 'path',
        about: 'the bursts, with the owner’s part: from the entry’s device to the owner’s socket',
        unit: 'µs CPU/packet',
        targets: [],
      },
      (ground, way, sender) => steady(ground, way, sender, work.size),
    ),
};
