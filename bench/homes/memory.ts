/**
 * Memory of a home: process memory before and after it holds one million tickets.
 * Usage: node --expose-gc bench/homes/memory.ts [tickets]
 */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { Random } from '../../src/sync/random.ts';
import { TicketStore } from '../../src/sync/ticket-store.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const gc = globalThis.gc;
if (gc === undefined) throw new Error('run node with --expose-gc');

function used(): { rss: number; arrayBuffers: number; heapUsed: number } {
  for (let i = 0; i < 3; i++) gc?.();
  const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
  return { rss, arrayBuffers, heapUsed };
}

const random = new Random(1);
const key = new Uint32Array(KEY_WORDS);
key[2] = 0xffff0000;
key[6] = 0xffff0000;
key[7] = 0x0a0200c0;

const tickets = new TicketStore({
  capacity: 4_000_000,
  buckets: 65_536,
  self: 0,
  boot: 1,
  seed: 3,
});
const tenure = tickets.open(1, 1)!;
// Compile first, so that the compiler's memory is not counted as the tickets'.
for (let i = 0; i < 20_000; i++) {
  key[8] = i;
  tickets.put(tenure, i & 0xffff, key, 1);
}
for (let i = 0; i < 20_000; i++) {
  key[8] = i;
  tickets.delete(tenure, key, 1);
}
const before = used();
const from = process.cpuUsage();
let worstMs = 0;
for (let i = 0; i < count; i++) {
  key[3] = random.u32();
  key[8] = random.u32();
  const started = performance.now();
  tickets.put(tenure, random.u32() & 0xffff, key, i);
  worstMs = Math.max(worstMs, performance.now() - started);
}
const cpu = process.cpuUsage(from);
const after = used();
const per = (a: number, b: number): number => Math.round(((a - b) / count) * 10) / 10;
console.log(
  JSON.stringify({
    tickets: tickets.size,
    bytesPerTicket: {
      rss: per(after.rss, before.rss),
      arrayBuffers: per(after.arrayBuffers, before.arrayBuffers),
      heap: per(after.heapUsed, before.heapUsed),
    },
    putUs: Math.round(((cpu.user + cpu.system) / count) * 100) / 100,
    worstPutMs: Math.round(worstMs * 100) / 100,
  }),
);
