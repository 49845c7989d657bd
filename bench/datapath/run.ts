/**
 * Measures healing against plain routing of the same kernel, through the same entry, in turn.
 * Usage: node bench/datapath/run.ts [rounds] [milliseconds per measurement]
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ConsoleProgress } from '../measure/progress.ts';
import {
  resultRows,
  type Sample,
  type ScenarioRun,
  summarize,
  targetLine,
} from '../measure/report.ts';
import { orderOfRound } from '../measure/rounds.ts';
import { Ground, WAYS, type Way } from './ground.ts';
import { measureMaps } from './maps.ts';
import { skipReason } from './namespace.ts';

const SINK = fileURLToPath(new URL('./sink.ts', import.meta.url));
/** Time against time: 0.95 of the rate, 0.8 of the packets. */
const BULK_MOST = 1.05;
const PACKET_MOST = 1.25;
const NAMES: readonly Way[] = ['healed', 'plain'];

interface Sender {
  readonly child: ChildProcess;
  readonly port: number;
}

async function ask(child: ChildProcess, word: string): Promise<Record<string, number>> {
  child.send(word);
  const [answer] = (await once(child, 'message')) as [Record<string, number>];
  return answer;
}

/** Opens one connection per way with A, then lets the healed one arrive at B. */
async function connectSenders(ground: Ground): Promise<Record<Way, Sender>> {
  const senders = {} as Record<Way, Sender>;
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
async function bulk(sender: Sender, forMs: number): Promise<Sample> {
  sender.child.send('up');
  await sleep(forMs / 4);
  const before = await ask(sender.child, 'bytes');
  const startedMs = performance.now();
  await sleep(forMs);
  const after = await ask(sender.child, 'bytes');
  const elapsedMs = performance.now() - startedMs;
  sender.child.send('stop');
  await sleep(100);
  const bytes = after.bytes! - before.bytes!;
  if (bytes <= 0) throw new Error('nothing was transferred');
  return { value: elapsedMs / (bytes / 1e9), served: bytes, failed: 0 };
}

/** Processor time of the entry per packet: the acknowledgements of a download, which nothing joins. */
async function perPacket(ground: Ground, way: Way, sender: Sender, forMs: number): Promise<Sample> {
  sender.child.send('down');
  await sleep(forMs / 4);
  const before = ground.read(way);
  await sleep(forMs);
  const after = ground.read(way);
  sender.child.send('stop');
  await sleep(100);
  const packets = after.packets - before.packets;
  const micros = (after.cpuNs - before.cpuNs) / 1_000;
  return { value: micros / packets, served: packets, failed: 0, busyShare: micros / 1_000 / forMs };
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 9);
  const forMs = Number(process.argv[3] ?? 1_000);
  const reason = skipReason('ethtool');
  if (reason !== false) throw new Error(`cannot measure here: ${reason}`);
  const ground = await Ground.create();
  const progress = new ConsoleProgress(rounds * 6);
  try {
    const senders = await connectSenders(ground);
    const kinds = ['bulk', 'path', 'entry'] as const;
    const samples = Object.fromEntries(
      kinds.map((kind) => [kind, { healed: [] as Sample[], plain: [] as Sample[] }]),
    ) as Record<(typeof kinds)[number], Record<Way, Sample[]>>;
    for (const kind of kinds) {
      ground.separateOwner(kind === 'entry');
      for (let round = 0; round < rounds; round++) {
        for (const way of orderOfRound(NAMES, round)) {
          progress.step(`${kind}, round ${round + 1}: ${way}`);
          const sender = senders[way];
          const sample =
            kind === 'bulk' ? bulk(sender, forMs) : perPacket(ground, way, sender, forMs);
          samples[kind][way].push(await sample);
          progress.done();
        }
      }
    }
    const verdicts = ground.datapath.verdicts.read();
    progress.close();
    const contenders = (kind: (typeof kinds)[number]) =>
      NAMES.map((name) => ({ name, samples: samples[kind][name] }));
    const runs: ScenarioRun[] = [
      {
        name: 'bulk',
        about: 'one upload, 1,500-byte frames, GRO, through the entry to the owner',
        unit: 'ms/GB',
        bases: ['plain'],
        targets: [{ contender: 'healed', base: 'plain', atMost: BULK_MOST }],
        contenders: contenders('bulk'),
        absent: [],
      },
      {
        name: 'packets, entry and owner',
        about:
          'acknowledgements of a download; processor time from the entry’s device to the owner’s socket',
        unit: 'µs CPU/packet',
        bases: ['plain'],
        targets: [],
        contenders: contenders('path'),
        absent: [],
      },
      {
        name: 'packets, entry alone',
        about: 'acknowledgements of a download; processor time of the entry’s receiving thread',
        unit: 'µs CPU/packet',
        bases: ['plain'],
        targets: [{ contender: 'healed', base: 'plain', atMost: PACKET_MOST }],
        contenders: contenders('entry'),
        absent: [],
      },
    ];
    for (const run of runs) {
      const result = summarize(run);
      console.log(`\n${run.name}: ${run.about}`);
      for (const row of resultRows(result)) console.log(row.join('\t'));
      for (const target of result.targets) console.log(targetLine(target, run.unit));
    }
    console.log(`\nrelayed by the entry: ${verdicts.relay_ticket} packets, after GRO`);
    console.log('\nmaps');
    for (const line of measureMaps()) console.log(line);
  } finally {
    progress.close();
    ground.close();
  }
}

await main();
