/** The kernel's maps as the agent uses them, with nothing else around. */
import { readFileSync } from 'node:fs';
import { type EventReader, EventRing } from '../../src/datapath/event-ring.ts';
import type { MapName } from '../../src/datapath/kernel-object.ts';
import { TICKET } from '../../src/datapath/layout.ts';
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
    const key = ticketKey();
    const before = process.cpuUsage();
    for (let i = 0; i < this.#tickets; i++) {
      numberKey(key, i);
      tickets.learn(key, a);
    }
    tickets.flush();
    return cpuMsSince(before);
  }

  /** The same tickets, each by a system call of its own. @returns milliseconds of processor time. */
  updateOneByOne(): number {
    const { object, nodes, a } = this.#bench;
    const fd = object.map('hf_tickets');
    const key = ticketKey();
    const value = new Uint32Array(TICKET.bytes / 4);
    value.set([a, nodes.bootOf(a), 0, 0xffff]);
    const before = process.cpuUsage();
    for (let i = 0; i < this.#tickets; i++) {
      numberKey(key, i);
      check(callBpf('bpf_map_update_elem', fd, key, value, 0), 'a ticket');
    }
    return cpuMsSince(before);
  }

  /**
   * Asks for tickets, as many as there would be events, each by a system call. A full map has thrown
   * a few of them out.
   * @returns milliseconds of processor time of the third time, when the code is compiled.
   */
  lookUp(): number {
    const { object } = this.#bench;
    const fd = object.map('hf_tickets');
    const key = ticketKey();
    const value = new Uint32Array(TICKET.bytes / 4);
    let elapsedMs = 0;
    for (let turn = 0; turn < 3; turn++) {
      let found = 0;
      const before = process.cpuUsage();
      for (let i = 0; i < this.#events; i++) {
        numberKey(key, i % this.#tickets);
        if (callBpf('bpf_map_lookup_elem', fd, key, value) === 0 && value[3] === 0xffff) found++;
      }
      elapsedMs = cpuMsSince(before);
      if (found < this.#events / 2) {
        throw new BenchError(`${found} of ${this.#events} tickets are there`, 'ERR_BENCH_LOAD');
      }
    }
    return elapsedMs;
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

  /** Kernel memory of the map for each entry that it has room for, and what an entry must hold. */
  entryBytes(name: MapName): { taken: number; bare: number } {
    const { object } = this.#bench;
    const info = readFileSync(`/proc/self/fdinfo/${object.map(name)}`, 'latin1');
    const field = (what: string) => Number(new RegExp(`^${what}:\\s*(\\d+)`, 'm').exec(info)?.[1]);
    const taken = field('memlock') / object.entries(name);
    return { taken, bare: field('key_size') + field('value_size') };
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

function ticketKey(): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  key[2] = 0xffff_0000;
  key[6] = 0xffff_0000;
  return key;
}

function numberKey(key: Uint32Array, i: number): void {
  key[3] = Math.imul(i, 2_654_435_761) >>> 0;
  key[8] = i & 0xffff;
}

/** Of all threads: what the neighbours on the machine do is not ours. */
function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
