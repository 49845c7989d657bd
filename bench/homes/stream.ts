/**
 * CPU and bytes per ticket from an owner to its homes, without sockets and without encryption:
 * publish, pack, unpack, store, acknowledge. Three nodes, so that every ticket has two other homes.
 * Usage: node bench/homes/stream.ts [ticketsPerSecond] [seconds] [loss]
 */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import type { MeshEvent, Outbox, PeerIndex, PeerTable } from '../../src/sync/core.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import { Random } from '../../src/sync/random.ts';
import { memberNamed } from './member.ts';

const perSecond = Number(process.argv[2] ?? 10_000);
const seconds = Number(process.argv[3] ?? 20);
const loss = Number(process.argv[4] ?? 0.03);
const NODES = 3;
const DELAY_MS = 1;

const random = new Random(7);
const members = Array.from({ length: NODES }, (_, i) => memberNamed(`node-${i}`));
const indices = members.map((_, i) => i);

const tableOf = (self: PeerIndex): PeerTable => ({
  self,
  get: (peer) => members[peer],
  indexOf: (id) => members.findIndex((member) => member.id === id),
  indices: () => indices,
  rttMs: () => DELAY_MS * 2,
});

let nowMs = 0;
const sent = { datagrams: 0, bytes: 0 };
const queue: { atMs: number; to: PeerIndex; event: MeshEvent }[] = [];
const nodes = members.map(
  (_, i) => new Directory(0, { peers: tableOf(i), random: random.fork(), capacity: 2_000_000 }),
);
const outboxOf = (from: PeerIndex): Outbox => ({
  send(to, channel, body) {
    sent.datagrams++;
    sent.bytes += body.length;
    if (random.chance(loss)) return true;
    const event = { type: 'frame' as const, from, channel, body: body.slice() };
    queue.push({ atMs: nowMs + DELAY_MS, to, event });
    return true;
  },
  stream(to, channel, body) {
    const event = { type: 'stream' as const, from, channel, body: body.slice() };
    queue.push({ atMs: nowMs + DELAY_MS, to, event });
    return true;
  },
  broadcast() {},
  notify() {},
});
const outboxes = indices.map(outboxOf);

function advance(toMs: number): void {
  for (; nowMs < toMs; nowMs++) {
    while (queue.length > 0 && queue[0]!.atMs <= nowMs) {
      const { to, event } = queue.shift()!;
      nodes[to]!.handle(nowMs, event, outboxes[to]!);
    }
    for (const i of indices) {
      const wakeMs = nodes[i]!.nextWakeupMs();
      if (wakeMs !== undefined && wakeMs <= nowMs) {
        nodes[i]!.handle(nowMs, { type: 'tick' }, outboxes[i]!);
      }
    }
  }
}

for (const i of indices) {
  for (const peer of indices) {
    if (peer === i) continue;
    const event = {
      type: 'member' as const,
      change: 'joined' as const,
      peer,
      member: members[peer]!,
    };
    nodes[i]!.handle(0, event, outboxes[i]!);
  }
}
advance(15_000);
sent.datagrams = 0;
sent.bytes = 0;
const startedMs = nowMs;
const key = new Uint32Array(KEY_WORDS);
key[2] = 0xffff0000;
key[6] = 0xffff0000;
key[7] = 0x0a0200c0;
let count = 0;
const cpu = process.cpuUsage();
for (let ms = 0; ms < seconds * 1_000; ms++) {
  for (let i = 0; i < perSecond / 1_000; i++) {
    key[3] = random.u32();
    key[8] = random.u32();
    nodes[0]!.publish(nowMs, random.below(65_536), key, ++count, outboxes[0]!);
  }
  advance(nowMs + 1);
}
const used = process.cpuUsage(cpu);
const inTime = indices.map((i) => nodes[i]!.counters.ticketsKept);
advance(nowMs + 3_000);
const round = (n: number): number => Math.round(n * 100) / 100;
console.log(
  JSON.stringify({
    tickets: count,
    virtualSeconds: (nowMs - startedMs) / 1_000,
    cpuUsPerTicketAllThreeNodes: round((used.user + used.system) / count),
    bytesPerTicketPerHome: round(sent.bytes / count / 2),
    datagramsPerTicketPerHome: round(sent.datagrams / count / 2),
    keptAtEnd: inTime,
    keptAfter3s: indices.map((i) => nodes[i]!.counters.ticketsKept),
    resent: nodes[0]!.counters.framesResent,
    repaired: nodes[0]!.counters.ticketsRepaired,
  }),
);
