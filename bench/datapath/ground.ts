/**
 * Where the datapath is measured: real 1,500-byte frames through an entry B to the owner A, once
 * healed and once as plain routing of the same kernel, by two equal ways:
 *
 *     client ── router ──┬── up  (hf_uplink) ──▶ B ── under, tunnel ──▶ A   VIP 192.0.2.10
 *                        └── up2 (nothing) ────▶ B ── plain, routing ─▶ A   address 192.0.2.20
 *
 * Each hop's receiving work runs in a kernel thread of its own (threaded NAPI), so that the
 * processor time of B's two entries can be read.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Endpoint, flowKey } from '../../src/datapath/address-bytes.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import { BUCKETS, HOMES, NO_SLOT } from '../../src/datapath/layout.ts';
import type { CpuShares } from '../measure/cpu-list.ts';
import { BenchError } from '../measure/errors.ts';
import type { FloodPlan } from './flood-process.ts';
import { ip, Namespace, scratchDirectory, sh } from './namespace.ts';

export const CLIENT = '203.0.113.2';
export const PORT = 443;
export const WAYS = {
  healed: { address: '192.0.2.10', device: 'up' },
  plain: { address: '192.0.2.20', device: 'up2' },
} as const;
export type Way = keyof typeof WAYS;
/** Sources of made-up packets; answers to them end at the router. */
export const NOBODY = '192.0.2.128/25';
const FLOOD = fileURLToPath(new URL('./flood-process.ts', import.meta.url));
const SETTLE_MS = 50;
const SERVER = fileURLToPath(new URL('./sink.ts', import.meta.url));

export class Ground {
  readonly client = Namespace.create();
  readonly router = Namespace.create();
  readonly entry = Namespace.create();
  readonly owner = Namespace.create();
  readonly #scratch = scratchDirectory();
  readonly #threads: Partial<Record<Way, number>> = {};
  readonly #cpus: CpuShares | undefined;
  #children: ChildProcess[] = [];
  #datapath: Datapath | undefined;
  #ownerDatapath: Datapath | undefined;

  /** @param cpus The entry receives on the measured one, the rest works on the others. */
  static async create(cpus?: CpuShares): Promise<Ground> {
    const self = new Ground(cpus);
    try {
      self.#wire();
      self.#startDatapaths();
      await self.#serve();
    } catch (error) {
      self.close();
      throw error;
    }
    return self;
  }

  private constructor(cpus: CpuShares | undefined) {
    this.#cpus = cpus;
  }

  get datapath(): Datapath {
    return this.#datapath!;
  }

  /** Starts a process of the benchmark in a namespace; it is ended with the ground. */
  start(namespace: Namespace, ...words: string[]): ChildProcess {
    const cpus = this.#cpus;
    const argv = [process.execPath, ...words];
    const [program = '', ...rest] =
      cpus === undefined ? argv : ['taskset', '-c', cpus.load, ...argv];
    const child = namespace.run(() =>
      spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    this.#children.push(child);
    return child;
  }

  /** Sends packets from the client's namespace, until the last has arrived. */
  async flood(plan: FloodPlan): Promise<void> {
    const child = this.start(this.client, FLOOD, JSON.stringify(plan));
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new BenchError('the packets could not be sent', 'ERR_BENCH_LOAD');
    this.#children = this.#children.filter((one) => one !== child);
    await sleep(SETTLE_MS);
  }

  /** Gives the entry the ticket of a connection of the client with A. */
  teach(way: Way, port: number): void {
    if (way === 'plain') return;
    const client: Endpoint = { address: CLIENT, port };
    const key = flowKey(client, { address: WAYS.healed.address, port: PORT });
    const slot = this.datapath.nodes.slotOf('198.51.100.130')!;
    this.datapath.tickets.learn(key, slot);
    this.datapath.tickets.flush();
  }

  /** Before connecting, healed traffic goes straight to A; afterwards by B. */
  route(to: 'owner' | 'entry'): void {
    const via = to === 'owner' ? '198.51.100.10' : '198.51.100.2';
    this.router.run(() => ip(`route replace ${WAYS.healed.address}/32 via ${via}`));
  }

  /**
   * Whether the owner's work is kept out of the entry's thread. For that the entry must split what
   * GRO joined, which a network card would do: right for counting small packets, wrong for bulk.
   */
  separateOwner(on: boolean): void {
    for (const name of ['under', 'plain']) {
      this.entry.run(() => sh(`ethtool -K ${name} tso ${on ? 'off' : 'on'}`));
    }
  }

  /** The owner is home to every flow. */
  ownerIsHome(): void {
    for (const datapath of [this.datapath, this.#ownerDatapath!]) {
      const rows = new Uint16Array(BUCKETS * HOMES).fill(NO_SLOT);
      const slot = datapath.nodes.slotOf('198.51.100.130')!;
      for (let at = 0; at < rows.length; at += HOMES) rows[at] = slot;
      datapath.homes.publish(rows);
    }
  }

  /** Sent into the tunnel by both nodes so far. */
  tunnelPackets(): number {
    let sum = 0;
    for (const datapath of [this.datapath, this.#ownerDatapath!]) {
      const { device, direct } = datapath.ways.read();
      sum += device + direct;
    }
    return sum;
  }

  /** Processor time of the entry's receiving thread of this way so far, and packets received. */
  read(way: Way): { cpuNs: number; packets: number } {
    const pid = this.#threads[way]!;
    const cpuNs = Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]);
    const shown = this.entry.run(() => sh(`ip -s -j link show dev ${WAYS[way].device}`));
    const [link] = JSON.parse(shown) as [{ stats64: { rx: { packets: number } } }];
    return { cpuNs, packets: link.stats64.rx.packets };
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#children = [];
    this.entry.run(() => this.#datapath?.remove());
    this.owner.run(() => this.#ownerDatapath?.remove());
    for (const one of [this.client, this.router, this.entry, this.owner]) one.close();
    this.#scratch.drop('a', 'b');
  }

  #wire(): void {
    const { client, router, entry, owner } = this;
    router.run(() => {
      sh('sysctl -qw net.ipv4.ip_forward=1');
      ip(
        `link add toclient type veth peer name up netns ${client.path}`,
        `link add toentry type veth peer name up netns ${entry.path}`,
        `link add toentry2 type veth peer name up2 netns ${entry.path}`,
        `link add toowner type veth peer name up netns ${owner.path}`,
        // Senders leave room for the heads that a port of the bridge may add: as much as the drivers
        // of network cards leave, which a raw socket would not.
        'link add toclients type bridge',
        'link add roomy type vxlan external dstport 8472',
        'link set dev roomy master toclients',
        'link set dev toclient master toclients up',
        ...device('toclients', '203.0.113.1/24'),
        ...device('toentry', '198.51.100.1/30'),
        ...device('toentry2', '198.51.100.5/30'),
        ...device('toowner', '198.51.100.9/30'),
        `route add blackhole ${NOBODY}`,
      );
    });
    client.run(() => {
      ip(...device('up', `${CLIENT}/24`), 'route add default via 203.0.113.1');
      // Frames as a network card would bring them, not the giants that veth passes on.
      ip('link set dev up gso_max_segs 1');
    });
    entry.run(() => {
      sh('sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0');
      ip(
        `link add name under type veth peer name under netns ${owner.path}`,
        `link add name plain type veth peer name plain netns ${owner.path}`,
        ...device('up', '198.51.100.2/30'),
        ...device('up2', '198.51.100.6/30'),
        ...device('under', '198.51.100.129/26'),
        // The routed way has no programs of ours on its devices at all.
        ...device('plain', '198.51.100.193/26'),
        `address add ${WAYS.healed.address}/32 dev lo`,
        'route add default via 198.51.100.1',
        `route add ${WAYS.plain.address}/32 via 198.51.100.194`,
      );
    });
    owner.run(() => {
      sh('sysctl -qw net.ipv4.conf.all.rp_filter=0');
      ip(
        ...device('up', '198.51.100.10/30'),
        ...device('under', '198.51.100.130/26'),
        ...device('plain', '198.51.100.194/26'),
        `address add ${WAYS.healed.address}/32 dev lo`,
        `address add ${WAYS.plain.address}/32 dev lo`,
        'route add default via 198.51.100.9',
      );
    });
    router.run(() => ip(`route add ${WAYS.plain.address}/32 via 198.51.100.6`));
    this.route('owner');
    // A veth hands packets to the receiver's NAPI only when it cannot send segments unsplit.
    router.run(() => {
      for (const name of ['toentry', 'toentry2']) sh(`ethtool -K ${name} tso off`);
    });
    this.#threads.healed = this.#receiver(entry, 'up', 'measured');
    this.#threads.plain = this.#receiver(entry, 'up2', 'measured');
    for (const name of ['under', 'plain', 'up']) this.#receiver(owner, name, 'load');
  }

  #receiver(namespace: Namespace, name: string, share: keyof CpuShares): number {
    const thread = threadedNapi(namespace, name);
    const cpus = this.#cpus;
    if (cpus !== undefined) sh(`taskset -p -c ${cpus[share]} ${thread}`);
    return thread;
  }

  #startDatapaths(): void {
    const common = {
      uplinks: ['up'],
      vips: [{ address: WAYS.healed.address, port: PORT }],
      cookie: 1,
      hashSeed: 1,
      ticketsMax: 65_536,
      ownFlowsMax: 65_536,
    };
    const start = (namespace: Namespace, name: string, underlay: string) =>
      namespace.run(() =>
        Datapath.start({ ...common, underlay, pinDirectory: `${this.#scratch.path}/${name}` }),
      );
    const a = start(this.owner, 'a', '198.51.100.130');
    this.#ownerDatapath = a;
    const b = start(this.entry, 'b', '198.51.100.129');
    this.#datapath = b;
    a.nodes.place({ address: '198.51.100.129', boot: b.boot, state: 'alive' });
    b.nodes.place({ address: '198.51.100.130', boot: a.boot, state: 'alive' });
  }

  async #serve(): Promise<void> {
    const addresses = Object.values(WAYS).map(({ address }) => address);
    const server = this.start(this.owner, SERVER, 'serve', ...addresses);
    await once(server, 'message');
  }
}

export function device(name: string, address: string): string[] {
  return [`address add ${address} dev ${name}`, `link set dev ${name} up`];
}

function napiThreads(): Set<number> {
  const found = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const comm = readFileSync(`/proc/${name}/comm`, 'latin1');
      if (comm.startsWith('napi/')) found.add(Number(name));
    } catch {
      // Ended meanwhile.
    }
  }
  return found;
}

/** Switches GRO and threaded NAPI on. @returns the thread of the first queue that appeared. */
export function threadedNapi(namespace: Namespace, name: string): number {
  return namespace.run(() => {
    const before = napiThreads();
    sh(`ethtool -K ${name} gro on`);
    const script = `mount -t sysfs sysfs /sys && echo 1 > /sys/class/net/${name}/threaded`;
    const result = spawnSync('unshare', ['--mount', 'sh', '-c', script], { encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`threaded NAPI on ${name}: ${result.stderr}`);
    const fresh = [...napiThreads()].filter((pid) => !before.has(pid));
    if (fresh.length !== 1) throw new Error(`${name} has ${fresh.length} receiving threads, not 1`);
    return fresh[0]!;
  });
}
