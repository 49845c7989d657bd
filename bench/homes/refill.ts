/**
 * A home that lost its memory is filled again by an owner of many tickets: how long it takes, and
 * how long the event loop of either side stands still for one event.
 * Usage: node bench/homes/refill.ts [tickets]
 */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import type { MeshEvent, Outbox, PeerIndex, PeerTable } from '../../src/sync/core.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import { Random } from '../../src/sync/random.ts';
import { memberNamed } from './member.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const DELAY_MS = 1;
const random = new Random(7);
const members = [0, 1].map((i) => memberNamed(`node-${i}`));
const tableOf = (self: PeerIndex): PeerTable => ({
  self,
  get: (peer) => members[peer],
  indexOf: (id) => members.findIndex((member) => member.id === id),
  indices: () => [0, 1],
  rttMs: () => DELAY_MS * 2,
});

let nowMs = 0;
let streamBytes = 0;
const worstMs: Record<string, number> = {};
const queue: { atMs: number; to: PeerIndex; event: MeshEvent }[] = [];
const settings = { capacity: 3_000_000 };
const create = (i: number): Directory =>
  new Directory(nowMs, { ...settings, peers: tableOf(i), random: random.fork() });
const nodes = [create(0), create(1)];
const outboxes = [0, 1].map(
  (from): Outbox => ({
    send(to, channel, body) {
      queue.push({
        atMs: nowMs + DELAY_MS,
        to,
        event: { type: 'frame', from, channel, body: body.slice() },
      });
      return true;
    },
    stream(to, channel, body) {
      streamBytes += body.length;
      queue.push({
        atMs: nowMs + DELAY_MS,
        to,
        event: { type: 'stream', from, channel, body: body.slice() },
      });
      return true;
    },
    broadcast() {},
    notify() {},
  }),
);

function handle(i: number, event: MeshEvent): void {
  // Time on the processor: other programs on this machine shall not count.
  const from = process.threadCpuUsage();
  nodes[i]!.handle(nowMs, event, outboxes[i]!);
  const { user, system } = process.threadCpuUsage(from);
  const name = `${event.type}${'channel' in event ? event.channel : ''}@${i}`;
  worstMs[name] = Math.max(worstMs[name] ?? 0, (user + system) / 1_000);
}

function advance(toMs: number): void {
  for (; nowMs < toMs; nowMs++) {
    while (queue.length > 0 && queue[0]!.atMs <= nowMs) {
      const { to, event } = queue.shift()!;
      handle(to, event);
    }
    for (const i of [0, 1]) {
      const wakeMs = nodes[i]!.nextWakeupMs();
      if (wakeMs !== undefined && wakeMs <= nowMs) handle(i, { type: 'tick' });
    }
  }
}

handle(0, { type: 'member', change: 'joined', peer: 1, member: members[1]! });
handle(1, { type: 'member', change: 'joined', peer: 0, member: members[0]! });
advance(15_000);
const key = new Uint32Array(KEY_WORDS);
key[2] = 0xffff0000;
key[6] = 0xffff0000;
key[7] = 0x0a0200c0;
for (let i = 1; i <= count; i++) {
  key[3] = random.u32();
  key[8] = random.u32();
  nodes[0]!.publish(nowMs, random.below(65_536), key, i, outboxes[0]!);
  if (i % 200 === 0) advance(nowMs + 2);
}
advance(nowMs + 10_000);
const before = nodes[1]!.counters.ticketsKept!;

for (const name of Object.keys(worstMs)) delete worstMs[name];
streamBytes = 0;
const member = { ...members[1]!, run: 2 };
members[1] = member;
nodes[1] = create(1);
handle(1, { type: 'member', change: 'joined', peer: 0, member: members[0]! });
handle(0, { type: 'member', change: 'run', peer: 1, member });
const startedMs = nowMs;
const cpu = process.cpuUsage();
while (nodes[1]!.counters.ticketsKept! < before && nowMs < startedMs + 60_000) advance(nowMs + 50);
const used = process.cpuUsage(cpu);
const round = (n: number): number => Math.round(n * 100) / 100;
for (const name of Object.keys(worstMs)) worstMs[name] = round(worstMs[name]!);
console.log(
  JSON.stringify({
    tickets: before,
    refilled: nodes[1]!.counters.ticketsKept,
    virtualMs: nowMs - startedMs,
    streamBytesPerTicket: round(streamBytes / before),
    cpuUsPerTicketBothSides: round((used.user + used.system) / before),
    worstMs,
  }),
);
