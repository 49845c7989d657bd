/** How fast the agent reaches the kernel's maps, and what a ticket costs there. */
import { readFileSync } from 'node:fs';
import { type EventReader, EventRing } from '../../src/datapath/event-ring.ts';
import type { MapName } from '../../src/datapath/kernel-object.ts';
import { addressOf, callBpf, check } from '../../src/datapath/libbpf.ts';
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { ACK, SYN, tcpFrame } from './packets.ts';
import { ProgramBench } from './program-bench.ts';

const TICKETS = 500_000;
const EVENTS = 100_000;
const RING_BYTES = 8 << 20;
const VIP = { address: '192.0.2.10', port: 443 };

/** Lines of text. Takes about two seconds. */
export function measureMaps(): string[] {
  const bench = new ProgramBench([VIP], {
    hf_events: RING_BYTES,
    hf_tickets: TICKETS,
    hf_own: TICKETS,
  });
  try {
    return [
      `ticket updates, new: ${updates(bench)} a second`,
      `ticket updates, again: ${updates(bench)} a second`,
      `event drain: ${drain(bench)} a second`,
      `other node’s ticket: ${entryBytes(bench, 'hf_tickets')} B of kernel memory`,
      `own ticket: ${entryBytes(bench, 'hf_own')} B of kernel memory`,
    ];
  } finally {
    bench.close();
  }
}

function updates(bench: ProgramBench): number {
  const key = new Uint32Array(KEY_WORDS);
  key[2] = 0xffff_0000;
  key[6] = 0xffff_0000;
  const startedMs = performance.now();
  for (let i = 0; i < TICKETS; i++) {
    key[3] = Math.imul(i, 2_654_435_761) >>> 0;
    key[8] = i & 0xffff;
    bench.tickets.learn(key, bench.a);
  }
  bench.tickets.flush();
  return Math.round(TICKETS / ((performance.now() - startedMs) / 1_000));
}

/** Fills the ring with births, by SYN-ACKs of ever new numbers, then reads them all. */
function drain(bench: ProgramBench): number {
  bench.config.set('births_max', 0xffff_ffff);
  const ring = new EventRing(bench.object.map('hf_events'), RING_BYTES);
  let count = 0;
  let sum = 0;
  const reader: EventReader = {
    born: (key, bucket, generation) => {
      count++;
      sum += key[8]! + bucket + generation;
    },
    kept: () => {},
    ended: () => {},
    search: () => {},
    switched: () => {},
    found: () => {},
    refused: () => {},
  };
  let elapsedMs = 0;
  try {
    for (let round = 0; round < 3; round++) {
      fill(bench, round * EVENTS);
      count = 0;
      const startedMs = performance.now();
      ring.drain(reader, EVENTS);
      elapsedMs = performance.now() - startedMs;
      if (count !== EVENTS || sum === 0) throw new Error(`${count} events came, not ${EVENTS}`);
    }
  } finally {
    ring.close();
  }
  return Math.round(EVENTS / (elapsedMs / 1_000));
}

function fill(bench: ProgramBench, from: number): void {
  const frame = tcpFrame({
    from: VIP.address,
    fromPort: VIP.port,
    to: '203.0.113.7',
    toPort: 1_000,
    flags: SYN | ACK,
  });
  const packet = Buffer.allocUnsafeSlow(frame.length);
  frame.copy(packet);
  const options = Buffer.allocUnsafeSlow(80).fill(0);
  options.writeBigUInt64LE(80n, 0);
  options.writeBigUInt64LE(addressOf(packet), 8);
  options.writeUInt32LE(packet.length, 24);
  const program = bench.object.program('hf_away');
  for (let i = 0; i < EVENTS; i++) {
    packet.writeUInt32BE(from + i + 1, 38);
    check(callBpf('bpf_prog_test_run_opts', program, options), 'hf_away');
  }
}

function entryBytes(bench: ProgramBench, name: MapName): string {
  const info = readFileSync(`/proc/self/fdinfo/${bench.object.map(name)}`, 'latin1');
  const bytes = Number(/^memlock:\s*(\d+)/m.exec(info)![1]);
  return (bytes / bench.object.entries(name)).toFixed(1);
}
