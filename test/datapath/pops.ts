/**
 * Three PoPs behind one router, in namespaces of this process:
 *
 *     client 203.0.113.2 ── router ──┬── A 198.51.100.2 ──┐
 *                                    ├── B 198.51.100.6 ──┼── backbone 198.51.100.129…131
 *                                    └── C 198.51.100.10 ─┘
 *
 * Each PoP has the VIP and a plain TCP server on it. The router's rule decides the PoP per packet.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ip, Namespace, scratchDirectory, sh } from '../../bench/datapath/namespace.ts';
import { Datapath, removeDatapath } from '../../src/datapath/datapath.ts';
import type { FlowKey } from '../../src/proto/ticket-key.ts';
import type { Job, Result } from './peer.ts';

export const VIP = { 4: '192.0.2.10', 6: '2001:db8:a::10' } as const;
export const PORT = 443;
export type Family = 4 | 6;
export const NAMES = ['a', 'b', 'c'] as const;
const PEER = fileURLToPath(new URL('./peer.ts', import.meta.url));

export interface PopsOptions {
  /** Of the tunnel. */
  readonly underlay: Family;
  /** The tunnel runs over the uplinks and the router instead of the backbone. */
  readonly shared?: boolean;
  /** The PoPs (0 to 2) that are every flow's homes, best first. Default: 0, 1, 2. */
  readonly homes?: readonly number[];
  readonly graceMs?: number;
}

/** How the router picks the PoP of a packet to the VIP. */
export type Route =
  | { readonly to: number }
  /** Each packet to another. */
  | { readonly everyPacket: readonly number[] }
  /** SYNs to one, the rest to another. */
  | { readonly syn: number; readonly rest: number };

export class Pops {
  readonly client = Namespace.create();
  readonly router = Namespace.create();
  readonly backbone = Namespace.create();
  readonly pops = NAMES.map(() => Namespace.create());
  readonly datapaths: (Datapath | undefined)[] = [];
  readonly #options: PopsOptions;
  readonly #scratch = scratchDirectory();
  readonly #children: ChildProcess[] = [];
  readonly #waiting = new Map<number, (result: Result) => void>();
  readonly switched: string[] = [];
  #clientProcess: ChildProcess | undefined;
  #jobs = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the stand-in for the mesh carries anything. */
  connected = true;

  private constructor(options: PopsOptions) {
    this.#options = options;
  }

  static async create(options: PopsOptions): Promise<Pops> {
    const self = new Pops(options);
    try {
      self.#wire();
      await self.route({ to: 0 });
      await self.#startPeers();
    } catch (error) {
      self.close();
      throw error;
    }
    return self;
  }

  datapathOptions(pop: number) {
    return {
      uplinks: ['up'],
      underlay: this.underlay(pop),
      vips: [
        { address: VIP[4], port: PORT },
        { address: VIP[6], port: PORT },
      ],
      cookie: 0x2a_1234,
      hashSeed: 0x5eed_1234,
      pinDirectory: `${this.#scratch.path}/${NAMES[pop]}`,
      graceMs: this.#options.graceMs ?? 500,
      ticketsMax: 65_536,
      ownFlowsMax: 65_536,
      ringBytes: 262_144,
    };
  }

  underlay(pop: number): string {
    if (this.#options.shared) {
      return this.#options.underlay === 4 ? `198.51.100.${4 * pop + 2}` : `2001:db8:${pop + 1}::2`;
    }
    return this.#options.underlay === 4 ? `198.51.100.${129 + pop}` : `2001:db8:b::${1 + pop}`;
  }

  /** Starts healing everywhere, with the tickets carried by a tiny stand-in for the mesh. */
  heal(): void {
    for (let pop = 0; pop < 3; pop++) this.startDatapath(pop);
    for (let pop = 0; pop < 3; pop++) this.introduce(pop);
    this.#timer = setInterval(() => {
      if (this.connected) this.carry();
    }, 1);
  }

  startDatapath(pop: number): void {
    this.datapaths[pop] = this.pops[pop]!.run(() => Datapath.start(this.datapathOptions(pop)));
  }

  /** Tells a PoP who the others are and where homes are. */
  introduce(pop: number): void {
    const datapath = this.datapaths[pop]!;
    const slots = new Uint16Array(3);
    this.datapaths.forEach((other, i) => {
      if (other === undefined) return;
      const state = i === pop ? 'self' : 'alive';
      slots[i] = datapath.nodes.place({ address: this.underlay(i), boot: other.boot, state });
    });
    const homes = this.#options.homes ?? [0, 1, 2];
    const rows = new Uint16Array(65_536 * 3).fill(0xffff);
    for (let at = 0; at < rows.length; at += 3) rows.set(homes, at);
    datapath.homes.publish(rows, slots);
  }

  /** One round of the stand-in: born tickets to the homes, searches to the sockets. */
  carry(): void {
    const homes = this.#options.homes ?? [0, 1, 2];
    this.datapaths.forEach((datapath, pop) => {
      datapath?.events.drain(
        {
          born: (key) => {
            for (const home of homes) if (home !== pop) this.#teach(home, key, pop, 'directory');
          },
          kept: () => {},
          ended: () => {},
          search: (key) => {
            const held = this.datapaths.map((other, i) =>
              other === undefined || i === pop
                ? undefined
                : this.pops[i]!.run(() => other.tracer.holds(key)),
            );
            // A handshake under way is an answer too, when nobody has the whole connection.
            const owner = held.includes('socket') ? held.indexOf('socket') : held.indexOf('weak');
            if (owner >= 0) this.#teach(pop, key, owner, 'search');
          },
          switched: (_key, _bucket, owner, source) => {
            this.switched.push(`${NAMES[pop]} to slot ${owner} by ${source}`);
          },
          found: () => {},
          refused: () => {},
        },
        10_000,
      );
    });
    for (const datapath of this.datapaths) datapath?.tickets.flush();
  }

  /** Publishes every flow that a PoP's kernel holds, as an agent does when it starts. */
  publish(pop: number): number {
    const homes = this.#options.homes ?? [0, 1, 2];
    let count = 0;
    for (const { key } of this.datapaths[pop]!.own) {
      count++;
      for (const home of homes) if (home !== pop) this.#teach(home, key, pop, 'directory');
    }
    for (const datapath of this.datapaths) datapath?.tickets.flush();
    return count;
  }

  /** Ends the agent of a PoP; the kernel goes on alone. */
  stopAgent(pop: number): void {
    this.datapaths[pop]!.close();
    this.datapaths[pop] = undefined;
  }

  #teach(pop: number, key: FlowKey, owner: number, source: 'directory' | 'search'): void {
    const datapath = this.datapaths[pop];
    const slot = datapath?.nodes.slotOf(this.underlay(owner));
    if (slot !== undefined) datapath!.tickets.learn(key, slot, source);
  }

  /** Counts of a verdict, summed over the PoPs. */
  verdict(name: keyof ReturnType<Datapath['verdicts']['read']>): number {
    let sum = 0;
    for (const datapath of this.datapaths) sum += datapath?.verdicts.read()[name] ?? 0;
    return sum;
  }

  async route(route: Route): Promise<void> {
    const to = 'ip daddr 192.0.2.10 tcp';
    const to6 = 'ip6 daddr 2001:db8:a::10 tcp';
    const mark =
      'to' in route
        ? `${route.to + 1}`
        : 'syn' in route
          ? `${route.rest + 1}`
          : `numgen inc mod ${route.everyPacket.length} map { ${route.everyPacket
              .map((pop, i) => `${i} : ${pop + 1}`)
              .join(', ')} }`;
    const rules = [to, to6].flatMap((match) => [
      `${match} dport ${PORT} meta mark set ${mark}`,
      ...('syn' in route
        ? [`${match} flags & (syn | ack) == syn meta mark set ${route.syn + 1}`]
        : []),
    ]);
    // ICMP errors follow the TCP packets' route.
    rules.push(`ip daddr 192.0.2.10 meta l4proto icmp meta mark set ${mark}`);
    rules.push(`ip6 daddr 2001:db8:a::10 meta l4proto icmpv6 meta mark set ${mark}`);
    // The router's own errors leave by the output hook.
    const chain = (name: string, hook: string) =>
      `chain ${name} {\ntype ${hook}\n${rules.join('\n')}\n}\n`;
    const text = `table inet steer\ndelete table inet steer\ntable inet steer {
      ${chain('transit', 'filter hook prerouting priority raw;')}
      ${chain('own', 'route hook output priority mangle;')}
    }\n`;
    // Not synchronous: the stand-in for the mesh must not stand still meanwhile.
    const nft = this.router.run(() =>
      spawn('nft', ['-f', '-'], { stdio: ['pipe', 'inherit', 'inherit'] }),
    );
    nft.stdin.end(text);
    const [status] = (await once(nft, 'exit')) as [number];
    if (status !== 0) throw new Error('nft refused the rules of the route');
  }

  /** Runs a job in the client's namespace. */
  job(job: Omit<Job, 'id' | 'host' | 'port'> & { family: Family }): Promise<Result> {
    const id = this.#jobs++;
    const { family, ...rest } = job;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#clientProcess!.send({ ...rest, id, host: VIP[family], port: PORT });
    });
  }

  close(): void {
    clearInterval(this.#timer);
    for (const child of this.#children) child.kill('SIGKILL');
    for (const [pop, namespace] of this.pops.entries()) {
      namespace.run(() => {
        this.datapaths[pop]?.close();
        removeDatapath(this.datapathOptions(pop));
      });
    }
    for (const namespace of [this.client, this.router, this.backbone, ...this.pops]) {
      namespace.close();
    }
    this.#scratch.drop(...NAMES);
  }

  #wire(): void {
    const { client, router, backbone } = this;
    router.run(() => {
      sh('sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
      ip(
        `link add toclient type veth peer name up netns ${client.path}`,
        ...address('toclient', '203.0.113.1/24', '2001:db8:c::1/64'),
      );
      this.pops.forEach((pop, i) => {
        ip(
          `link add to${i} type veth peer name up netns ${pop.path}`,
          ...address(`to${i}`, `198.51.100.${4 * i + 1}/30`, `2001:db8:${i + 1}::1/64`),
          // Errors of the router's own need a route before the rule below can change it.
          `route add ${VIP[4]}/32 via 198.51.100.${4 * i + 2} metric ${i + 1}`,
          `-6 route add ${VIP[6]}/128 via 2001:db8:${i + 1}::2 metric ${i + 1}`,
          `rule add fwmark ${i + 1} table ${100 + i}`,
          `route add ${VIP[4]}/32 via 198.51.100.${4 * i + 2} table ${100 + i}`,
          `-6 rule add fwmark ${i + 1} table ${100 + i}`,
          `-6 route add ${VIP[6]}/128 via 2001:db8:${i + 1}::2 table ${100 + i}`,
        );
      });
    });
    client.run(() => {
      ip(
        ...address('up', '203.0.113.2/24', '2001:db8:c::2/64'),
        'route add default via 203.0.113.1',
        '-6 route add default via 2001:db8:c::1',
      );
    });
    backbone.run(() => {
      ip(
        'link add bridge type bridge',
        'link set dev bridge up',
        ...this.pops.flatMap((pop, i) => [
          `link add port${i} type veth peer name under netns ${pop.path}`,
          `link set dev port${i} master bridge up`,
        ]),
      );
    });
    this.pops.forEach((pop, i) => {
      pop.run(() => {
        ip(
          ...address('up', `198.51.100.${4 * i + 2}/30`, `2001:db8:${i + 1}::2/64`),
          ...address('under', `198.51.100.${129 + i}/25`, `2001:db8:b::${1 + i}/64`),
          `address add ${VIP[4]}/32 dev lo`,
          `address add ${VIP[6]}/128 dev lo nodad`,
          `route add default via 198.51.100.${4 * i + 1}`,
          `-6 route add default via 2001:db8:${i + 1}::1`,
        );
      });
    });
  }

  async #startPeers(): Promise<void> {
    const servers = this.pops.map((pop, i) =>
      this.#peer(pop, 'serve', NAMES[i]!, `${PORT}`, VIP[4], VIP[6]),
    );
    const client = this.#peer(this.client, 'client');
    this.#clientProcess = client;
    await Promise.all(
      [...servers, client].map(
        (child) => new Promise((resolve) => child.once('message', resolve).once('exit', resolve)),
      ),
    );
    client.on('message', (result: Result) => {
      this.#waiting.get(result.id)?.(result);
      this.#waiting.delete(result.id);
    });
  }

  #peer(namespace: Namespace, ...words: string[]): ChildProcess {
    return namespace.run(() => {
      const child = spawn(process.execPath, [PEER, ...words], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      this.#children.push(child);
      return child;
    });
  }
}

function address(device: string, ipv4: string, ipv6: string): string[] {
  return [
    `address add ${ipv4} dev ${device}`,
    `address add ${ipv6} dev ${device} nodad`,
    `link set dev ${device} up`,
  ];
}
