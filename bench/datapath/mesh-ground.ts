/**
 * Servers that are where the packets arrive: one beside a running agent with peers, one alone.
 *
 *     client ──┬── up ▶ holdfast  VIP 192.0.2.10, agent ── under ──┐
 *              ├── up ▶ plain     VIP 192.0.2.20                   bridge
 *              └── up ▶ peers     an agent each ───────── under ───┘
 *
 * What a server receives runs in a kernel thread of its own (threaded NAPI), whose processor time can
 * be read. Agents are processes of this checkout.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { AgentStatus } from '../../src/agent/agent-status.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { BenchError } from '../measure/errors.ts';
import type { BenchProcess } from '../measure/processes.ts';
import { device, threadedNapi } from './ground.ts';
import { ip, Namespace, sh } from './namespace.ts';
import type { Work } from './scenarios/scenario.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
const READY_MS = 40_000;
const MESH_PORT = 7_946;
const ADMIN = '127.0.0.1:2019';

export const PORT = 8_080;
export const VIPS = { holdfast: '192.0.2.10', plain: '192.0.2.20' } as const;
export type Side = keyof typeof VIPS;

interface Node {
  readonly name: string;
  readonly namespace: Namespace;
  readonly vip: string;
  readonly underlay: string;
}

export class MeshGround {
  readonly client = Namespace.create();
  readonly plain = Namespace.create();
  readonly #bridge = Namespace.create();
  /** The first is the one under test, the others its peers. */
  readonly nodes: readonly Node[];
  readonly #work: Work;
  readonly #key = randomBytes(32).toString('base64url');
  readonly #threads: Partial<Record<Side, number>> = {};
  readonly #agents: BenchProcess[] = [];

  /** @param flows Room for so many flows. */
  static async create(work: Work, peers: number, flows: number): Promise<MeshGround> {
    const self = new MeshGround(work, peers);
    try {
      self.#wire();
      for (const node of self.nodes) self.#startAgent(node, flows);
      for (const [i, node] of self.nodes.entries()) await self.#ready(node, self.#agents[i]!);
      return self;
    } catch (error) {
      self.close();
      throw error;
    }
  }

  private constructor(work: Work, peers: number) {
    this.#work = work;
    this.nodes = Array.from({ length: 1 + peers }, (_, i) => ({
      name: i === 0 ? 'holdfast' : `peer-${i}`,
      namespace: Namespace.create(),
      vip: VIPS.holdfast,
      underlay: `198.51.100.${129 + i}`,
    }));
  }

  server(side: Side): Namespace {
    return side === 'plain' ? this.plain : this.nodes[0]!.namespace;
  }

  /** The agent under test. */
  get agent(): BenchProcess {
    return this.#agents[0]!;
  }

  get peers(): readonly BenchProcess[] {
    return this.#agents.slice(1);
  }

  /** Process of the kernel thread that receives for this server. */
  receiver(side: Side): number {
    return this.#threads[side]!;
  }

  status(node = this.nodes[0]!): AgentStatus | undefined {
    try {
      const text = node.namespace.run(() => sh(`curl -s -f -m 2 http://${ADMIN}/status`));
      return (JSON.parse(text) as { agent: AgentStatus | null }).agent ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** Processes must have ended; what is left goes with the namespaces. */
  close(): void {
    for (const { namespace } of this.nodes) namespace.close();
    for (const one of [this.client, this.plain, this.#bridge]) one.close();
  }

  #wire(): void {
    const servers = [...this.nodes.map(({ namespace, vip }) => ({ namespace, vip }))];
    servers.push({ namespace: this.plain, vip: VIPS.plain });
    this.#bridge.run(() => ip('link add bridge type bridge', 'link set dev bridge up'));
    servers.forEach(({ namespace, vip }, i) => {
      const name = `to${i}`;
      this.client.run(() => {
        ip(
          `link add ${name} type veth peer name up netns ${namespace.path}`,
          ...device(name, `198.51.100.${4 * i + 1}/30`),
        );
        // A veth hands packets to the receiver's NAPI only when it cannot send segments unsplit.
        sh(`ethtool -K ${name} tso off`);
      });
      namespace.run(() => {
        ip(
          ...device('up', `198.51.100.${4 * i + 2}/30`),
          `address add ${vip}/32 dev lo`,
          `route add default via 198.51.100.${4 * i + 1}`,
        );
        sh('sysctl -qw net.ipv4.tcp_max_syn_backlog=65536 net.core.somaxconn=262144');
      });
    });
    this.client.run(() => {
      ip(
        `route add ${VIPS.holdfast}/32 via 198.51.100.2`,
        `route add ${VIPS.plain}/32 via 198.51.100.${4 * this.nodes.length + 2}`,
      );
      writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '1024 65000');
    });
    this.nodes.forEach(({ namespace, underlay }, i) => {
      this.#bridge.run(() =>
        ip(
          `link add port${i} type veth peer name under netns ${namespace.path}`,
          `link set dev port${i} master bridge up`,
        ),
      );
      namespace.run(() => ip(...device('under', `${underlay}/25`)));
    });
    for (const side of ['holdfast', 'plain'] as const) {
      const thread = threadedNapi(this.server(side), 'up');
      this.#threads[side] = thread;
      const { cpus } = this.#work;
      if (cpus !== undefined) sh(`taskset -p -c ${cpus.measured} ${thread}`);
    }
  }

  #startAgent(node: Node, flows: number): void {
    const { directory, cpus, processes } = this.#work;
    const file = join(directory, `${node.name}.yaml`);
    const config: ConfigInput = {
      node: node.name,
      vips: [`http://${node.vip}:${PORT}`],
      mesh: {
        listen: `${node.underlay}:${MESH_PORT}`,
        join: this.nodes.map(({ underlay }) => `${underlay}:${MESH_PORT}`),
        keys: this.#key,
        label: 'bench',
      },
      datapath: {
        uplink: 'up',
        underlay: node.underlay,
        pinDirectory: join(directory, `bpf-${node.name}`),
        ticketsMax: Math.max(1_024, flows),
        ownFlowsMax: Math.max(1_024, flows),
      },
      admin: ADMIN,
      logLevel: 'warn',
      sites: {},
    };
    writeFileSync(file, stringify(config), { mode: 0o600 });
    const first = node === this.nodes[0];
    // The BPF file system of each is nobody else's business, and ends with it.
    const alone = ['unshare', '--mount', '--propagation', 'private'];
    const agent = node.namespace.run(() =>
      processes.start({
        name: `agent ${node.name}`,
        argv: [...alone, process.execPath, PROGRAM, 'agent', '--config', file],
        // A peer is another machine's load.
        cpus: first ? cpus?.measured : cpus?.load,
      }),
    );
    this.#agents.push(agent);
  }

  async #ready(node: Node, agent: BenchProcess): Promise<void> {
    const untilMs = performance.now() + READY_MS;
    for (;;) {
      this.#work.signal.throwIfAborted();
      if (agent.ended) throw agent.failure();
      const status = this.status(node);
      const wanted = this.nodes.length;
      const seen = Math.min(status?.members.alive ?? 0, status?.homes.nodes ?? 0);
      if (status?.state === 'running' && seen >= wanted) return;
      if (performance.now() > untilMs) {
        const text = `the agent ${node.name} does not see ${wanted} nodes`;
        throw new BenchError(text, 'ERR_BENCH_PROCESS');
      }
      await sleep(100);
    }
  }
}
