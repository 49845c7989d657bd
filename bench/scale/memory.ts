/** What one ticket costs a node's memory, measured on the real store. */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { TicketStore } from '../../src/sync/ticket-store.ts';

/** Entries of the kernel's maps: docs/design/datapath.md. */
export const KERNEL_TICKET_BYTES = 121;
export const KERNEL_OWN_BYTES = 113;
/** How many of each the kernel's maps take by default: src/datapath/datapath.ts. */
export const KERNEL_TICKETS_DEFAULT = 524_288;
export const KERNEL_OWN_DEFAULT = 262_144;
/** One table of homes in the agent or in the kernel. */
export const HOMES_TABLE_BYTES = 65_536 * 3 * 2;
/** Of the agent: the table in force, the previous one and one being built; of the kernel: two. */
export const HOMES_TABLES = 5;

/** Bytes of array buffers per ticket, over `tickets` of them. The objects around them are few. */
export function bytesPerTicket(tickets: number): number {
  const store = new TicketStore({
    capacity: tickets + 1,
    buckets: 65_536,
    self: 0,
    boot: 1,
    seed: 3,
  });
  const tenure = store.open(1, 1)!;
  const key = new Uint32Array(KEY_WORDS);
  key[2] = 0xffff0000;
  key[6] = 0xffff0000;
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 1; n <= tickets; n++) {
    key[3] = Math.imul(n, 0x9e3779b1) >>> 0;
    key[8] = Math.imul(n, 0x85ebca6b) >>> 0;
    store.put(tenure, n & 0xffff, key, n);
  }
  return (process.memoryUsage().arrayBuffers - before) / store.size;
}
