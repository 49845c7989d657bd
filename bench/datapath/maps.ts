/** The kernel's maps as the agent uses them, with nothing else around. */
import { readFileSync } from 'node:fs';
import { type EventReader, EventRing } from '../../src/datapath/event-ring.ts';
import type { MapName } from '../../src/datapath/kernel-object.ts';
import { addressOf, callBpf, check } from '../../src/datapath/libbpf.ts';
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { BenchError } from '../measure/errors.ts';
import { ACK, SYN, tcpFrame } from './packets.ts';
import { ProgramBench } from './program-bench.ts';

const VIP = { address: '192.0.2.10', port: 443 };
/** A record of the ring with its head. */
const RECORD_BYTES = 64;
/** Half of the ring is filled at a time. */
const PARTS = 2;

export class MapBench {
  readonly #bench: ProgramBench;
  readonly #ringBytes: number;
  readonly #tickets: number;
  readonly #events: number;

  constructor(tickets: number, events: number) {
    this.#tickets = tickets;
    this.#events = events;
    this.#ringBytes = 2 ** Math.ceil(Math.log2(events * RECORD_BYTES * PARTS));
    this.#bench = new ProgramBench([VIP], {
      hf_events: this.#ringBytes,
      hf_tickets: tickets,
      hf_own: tickets,
    });
  }

  /** Writes all tickets, the same every time. @returns milliseconds of processor time. */
  update(): number {
    const { tickets, a } = this.#bench;
    const key = new Uint32Array(KEY_WORDS);
    key[2] = 0xffff_0000;
    key[6] = 0xffff_0000;
    const before = process.cpuUsage();
    for (let i = 0; i < this.#tickets; i++) {
      key[3] = Math.imul(i, 2_654_435_761) >>> 0;
      key[8] = i & 0xffff;
      tickets.learn(key, a);
    }
    tickets.flush();
    return cpuMsSince(before);
  }

  /**
   * Fills the ring with births, by SYN-ACKs of ever new numbers, and reads them.
   * @returns milliseconds of processor time of the third time, when the reader is compiled.
   */
  drain(): number {
    const bench = this.#bench;
    const events = this.#events;
    bench.config.set('births_max', 0xffff_ffff);
    const ring = new EventRing(bench.object.map('hf_events'), this.#ringBytes);
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
      for (let turn = 0; turn < 3; turn++) {
        this.#fill(turn * events);
        count = 0;
        const before = process.cpuUsage();
        ring.drain(reader, events);
        elapsedMs = cpuMsSince(before);
        if (count !== events || sum === 0) {
          throw new BenchError(`${count} events came, not ${events}`, 'ERR_BENCH_LOAD');
        }
      }
    } finally {
      ring.close();
    }
    return elapsedMs;
  }

  /** Kernel memory of the map, for each entry that it has room for. */
  entryBytes(name: MapName): number {
    const { object } = this.#bench;
    const info = readFileSync(`/proc/self/fdinfo/${object.map(name)}`, 'latin1');
    return Number(/^memlock:\s*(\d+)/m.exec(info)![1]) / object.entries(name);
  }

  close(): void {
    this.#bench.close();
  }

  #fill(from: number): void {
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
    const program = this.#bench.object.program('hf_away');
    for (let i = 0; i < this.#events; i++) {
      packet.writeUInt32BE(from + i + 1, 38);
      check(callBpf('bpf_prog_test_run_opts', program, options), 'hf_away');
    }
  }
}

/** Of all threads: what the neighbours on the machine do is not ours. */
function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
