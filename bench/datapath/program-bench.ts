/** Runs the kernel programs on single packets (BPF_PROG_TEST_RUN), attached to nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchDirectory } from '../../bench/datapath/namespace.ts';
import { ensureBpffs } from '../../src/datapath/bpffs.ts';
import { ConfigRegister } from '../../src/datapath/config-register.ts';
import { type EventReader, EventRing } from '../../src/datapath/event-ring.ts';
import { KernelHomes } from '../../src/datapath/homes-table.ts';
import { KernelObject, type MapName, type ProgramName } from '../../src/datapath/kernel-object.ts';
import { LAYOUT, NO_SLOT } from '../../src/datapath/layout.ts';
import { addressOf, callBpf, check } from '../../src/datapath/libbpf.ts';
import { netnsCookie } from '../../src/datapath/network-namespace.ts';
import { NodeTable } from '../../src/datapath/node-table.ts';
import { TicketTable } from '../../src/datapath/ticket-table.ts';
import { Tracer } from '../../src/datapath/tracer.ts';
import { INNER_MAC, TUNNEL_MAC } from '../../src/datapath/tunnel-device.ts';
import { verdictCounters } from '../../src/datapath/verdict-counters.ts';
import type { VerdictName } from '../../src/datapath/verdicts.ts';
import { VipSet } from '../../src/datapath/vip-set.ts';

export const NEXT = -1;
export const DROP = 2;
export const REDIRECT = 7;

export interface Outcome {
  readonly verdict: VerdictName;
  readonly action: number;
  readonly out: Buffer;
  /** Events told, as text. */
  readonly events: readonly string[];
}

const BOOT = { self: 11, a: 21, b: 31 } as const;

export class ProgramBench {
  readonly object: KernelObject;
  readonly config: ConfigRegister;
  readonly nodes: NodeTable;
  readonly homes: KernelHomes;
  readonly tickets: TicketTable;
  readonly tracer: Tracer;
  readonly vips: VipSet;
  readonly self: number;
  /** Slots of two other nodes. */
  readonly a: number;
  readonly b: number;
  readonly #ring: EventRing;
  readonly #verdicts: ReturnType<typeof verdictCounters>;
  readonly #scratch = scratchDirectory();

  constructor(
    vips: readonly { address: string; port: number }[],
    entries: Partial<Record<MapName, number>> = { hf_events: 65_536 },
  ) {
    const pins = join(this.#scratch.path, 'bpf');
    ensureBpffs(pins);
    this.object = KernelObject.load(join(pins, `v${LAYOUT}`), entries);
    const map = this.object.map.bind(this.object);
    this.config = new ConfigRegister(map('hf_config'));
    this.nodes = new NodeTable(map('hf_nodes'), map('hf_members'));
    this.homes = new KernelHomes(map('hf_homes'), this.config);
    this.tickets = new TicketTable(map('hf_tickets'), (slot) => this.nodes.bootOf(slot));
    this.tracer = new Tracer(this.object.program('hf_trace'));
    this.#ring = new EventRing(map('hf_events'), this.object.entries('hf_events'));
    this.#verdicts = verdictCounters(map('hf_verdicts'));
    this.vips = new VipSet(map('hf_vips'), this.config);
    this.vips.replace(vips);
    const { config } = this;
    config.setNetnsCookie(netnsCookie());
    config.set('tunnel_ifindex', 1);
    config.set('cookie', 0x1234);
    config.set('hash_seed', 99);
    config.set('grace_ms', 60_000);
    config.set('forget_ms', 120_000);
    for (const limit of ['finds_max', 'searches_max', 'births_max'] as const)
      config.set(limit, 100);
    config.set('mss4', 1_410);
    config.set('mss6', 1_390);
    config.set('tunnel_port', 4_789);
    config.setMac('tunnel_mac', TUNNEL_MAC);
    config.setMac('inner_mac', INNER_MAC);
    this.self = this.nodes.place({ address: '198.51.100.1', boot: BOOT.self, state: 'self' });
    this.a = this.nodes.place({ address: '198.51.100.2', boot: BOOT.a, state: 'alive' });
    this.b = this.nodes.place({ address: '198.51.100.3', boot: BOOT.b, state: 'alive' });
    config.set('self', this.self);
    this.homesAre(this.self);
  }

  /** These slots are home to every flow, best first. */
  homesAre(...slots: number[]): void {
    const rows = new Uint16Array(65_536 * 3).fill(NO_SLOT);
    for (let at = 0; at < rows.length; at += 3) rows.set(slots, at);
    this.homes.publish(rows);
  }

  state(slot: number, state: 'alive' | 'suspect' | 'dead', boot?: number): void {
    const { address } = this.nodes.get(slot)!;
    this.nodes.place({ address, boot: boot ?? this.nodes.bootOf(slot), state });
  }

  events(): string[] {
    const told: string[] = [];
    const name = (slot: number) => ['self', 'a', 'b'][[this.self, this.a, this.b].indexOf(slot)];
    const reader: EventReader = {
      born: (_key, _bucket, _generation, whole) => told.push(whole ? 'born whole' : 'born'),
      kept: () => told.push('kept'),
      ended: () => told.push('ended'),
      search: (_key, _bucket, except) =>
        told.push(except === undefined ? 'search' : `search except ${name(except)}`),
      switched: (_key, _bucket, owner, source) =>
        told.push(`switched to ${name(owner)} by ${source}`),
      found: (_key, _bucket, entry) => told.push(`found for ${name(entry)}`),
      refused: (_key, _bucket, owner) => told.push(`refused by ${name(owner)}`),
    };
    this.#ring.drain(reader, 1_000);
    return told;
  }

  run(program: ProgramName, packet: Uint8Array): Outcome {
    const before = this.#verdicts.read();
    this.events();
    const { action, out } = this.runOnly(program, packet);
    const after = this.#verdicts.read();
    const changed = (Object.keys(after) as VerdictName[]).filter(
      (name) => after[name] !== before[name],
    );
    const total = changed.reduce((sum, name) => sum + after[name] - before[name], 0);
    if (total !== 1) throw new Error(`${total} verdicts for one packet: ${changed.join(' ')}`);
    return { verdict: changed[0]!, action, out, events: this.events() };
  }

  /** Looks at neither verdicts nor events. */
  runOnly(program: ProgramName, packet: Uint8Array): Pick<Outcome, 'action' | 'out'> {
    const input = Buffer.allocUnsafeSlow(Math.max(packet.length, 64)).fill(0);
    input.set(packet);
    const output = Buffer.allocUnsafeSlow(packet.length + 256);
    const options = Buffer.allocUnsafeSlow(80).fill(0);
    options.writeBigUInt64LE(80n, 0);
    options.writeBigUInt64LE(addressOf(input), 8);
    options.writeBigUInt64LE(addressOf(output), 16);
    options.writeUInt32LE(packet.length, 24);
    options.writeUInt32LE(output.length, 28);
    check(callBpf('bpf_prog_test_run_opts', this.object.program(program), options), program);
    return { action: options.readInt32LE(56), out: output.subarray(0, options.readUInt32LE(28)) };
  }

  /**
   * Whether the kernel measures the time of programs because some process asked for it
   * (BPF_ENABLE_STATS): each run then costs two readings of the clock more.
   */
  get isTimed(): boolean {
    const runs = () => {
      const fd = this.object.program('hf_trace');
      return /^run_cnt:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    };
    const before = runs();
    this.runOnly('hf_trace', new Uint8Array(128));
    return runs() !== before;
  }

  close(): void {
    this.#ring.close();
    this.homes.close();
    this.nodes.close();
    this.config.close();
    this.object.close();
    this.#scratch.drop('bpf');
  }
}
