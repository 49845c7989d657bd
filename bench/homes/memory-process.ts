/**
 * A process of its own that fills one store with tickets and tells what that cost, so that nothing of
 * an earlier measurement is in its memory. Started with --expose-gc.
 */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { Random } from '../../src/sync/random.ts';
import { TicketStore } from '../../src/sync/ticket-store.ts';

export interface MemoryOrder {
  readonly kind: 'store' | 'map';
  readonly tickets: number;
}

export interface MemoryAnswer {
  readonly bytesPerTicket: number;
  readonly cpuMicrosPerTicket: number;
}

/** Puts flow `n` of this address and port into a bucket. */
type Put = (address: number, ports: number, bucket: number, n: number) => void;

function intoStore(capacity: number): Put {
  const key = new Uint32Array(KEY_WORDS);
  key[2] = 0xffff0000;
  key[6] = 0xffff0000;
  key[7] = 0x0a0200c0;
  const tickets = new TicketStore({ capacity, buckets: 65_536, self: 0, boot: 1, seed: 3 });
  const tenure = tickets.open(1, 1)!;
  kept.push(tickets);
  return (address, ports, bucket, n) => {
    key[3] = address;
    key[8] = ports;
    tickets.put(tenure, bucket, key, n);
  };
}

/** What one would write first: an object for each ticket, found by its key as text. */
function intoMap(): Put {
  const tickets = new Map<string, { owner: number; generation: number; bucket: number }>();
  kept.push(tickets);
  return (address, ports, bucket, n) => {
    tickets.set(`${address}:${ports}`, { owner: 1, generation: n, bucket });
  };
}

const kept: unknown[] = [];

function usedBytes(): number {
  for (let i = 0; i < 3; i += 1) globalThis.gc?.();
  return process.memoryUsage.rss();
}

function measure({ kind, tickets }: MemoryOrder): MemoryAnswer {
  const random = new Random(1);
  const fill = (put: Put, count: number) => {
    for (let n = 1; n <= count; n += 1) put(random.u32(), random.u32(), random.below(65_536), n);
  };
  const make = () => (kind === 'store' ? intoStore(tickets * 2) : intoMap());
  // Compile first, so that the compiler's memory is not counted as the tickets'.
  fill(make(), 20_000);
  kept.length = 0;
  const put = make();
  const before = usedBytes();
  const from = process.cpuUsage();
  fill(put, tickets);
  const { user, system } = process.cpuUsage(from);
  return {
    bytesPerTicket: (usedBytes() - before) / tickets,
    cpuMicrosPerTicket: (user + system) / tickets,
  };
}

process.once('message', (order: MemoryOrder) => {
  process.send?.(measure(order), () => process.exit(0));
});
// The benchmark is gone: so are we.
process.on('disconnect', () => process.exit(1));
