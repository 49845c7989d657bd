import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../measure/errors.ts';
import type { FlowPlan } from './flow.ts';
import type { NodeAnswer, NodeOrder, NodeSetup, NodeUsage, Way } from './order.ts';

const ANSWER_MS = 60_000;
const SUFFIX = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const NODE_PROCESS = fileURLToPath(new URL(`./node-process${SUFFIX}`, import.meta.url));

/** Milliseconds on the clock that all processes of this machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Rejects when `signal` stops the benchmark. */
export async function sleep(forMs: number, signal?: AbortSignal): Promise<void> {
  await pause(forMs, undefined, signal === undefined ? {} : { signal });
}

/** One node in a process of its own. */
export class ClusterNode {
  readonly id: string;
  readonly boot: number;
  readonly #child: ChildProcess;
  address = '';

  constructor(id: string, boot: number) {
    this.id = id;
    this.boot = boot;
    this.#child = fork(NODE_PROCESS, [], {
      serialization: 'advanced',
      execArgv: ['--max-semi-space-size=8'],
    });
  }

  async setup(setup: NodeSetup): Promise<void> {
    const answer = await this.#ask({ type: 'setup', setup });
    if (answer.type === 'ready') this.address = answer.address;
  }

  async follow(plan: FlowPlan): Promise<void> {
    await this.#ask({ type: 'plan', plan });
  }

  async usage(): Promise<NodeUsage> {
    const answer = await this.#ask({ type: 'usage' });
    if (answer.type !== 'usage') throw strange(answer);
    return answer.usage;
  }

  async times(): Promise<Float64Array> {
    const answer = await this.#ask({ type: 'times' });
    if (answer.type !== 'times') throw strange(answer);
    return answer.times;
  }

  /** How many of the flows `low` to `high` this node knows to be that owner's. */
  async count(owner: string, low: number, high: number): Promise<number> {
    const answer = await this.#ask({ type: 'count', owner, low, high });
    if (answer.type !== 'count') throw strange(answer);
    return answer.known;
  }

  /** Ends the process without a word to anybody. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(order: NodeOrder): Promise<NodeAnswer> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('exit', onExit);
      };
      const onMessage = (answer: unknown): void => {
        end();
        resolve(answer as NodeAnswer);
      };
      const onExit = (): void => {
        end();
        reject(new BenchError(`The node ${this.id} ended early.`, 'ERR_BENCH_PROCESS'));
      };
      const timer = setTimeout(() => {
        end();
        reject(new BenchError(`The node ${this.id} does not answer.`, 'ERR_BENCH_PROCESS'));
      }, ANSWER_MS);
      child.on('message', onMessage);
      child.on('exit', onExit);
      child.send(order);
    });
  }
}

function strange(answer: NodeAnswer): BenchError {
  return new BenchError(`A node answered "${answer.type}".`, 'ERR_BENCH_PROCESS');
}

export interface ClusterOptions {
  readonly nodes: number;
  readonly dropShare: number;
  readonly capacity: number;
  readonly timedFlows: number;
  /** Default `mesh`. */
  readonly way?: Way;
  /** Ends the waits of the start. */
  readonly signal?: AbortSignal | undefined;
}

/** Nodes on this machine's loopback that know each other. */
export class Cluster {
  readonly nodes: ClusterNode[] = [];
  readonly #options: ClusterOptions;
  readonly #key = randomBytes(32).toString('base64');

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.#options.nodes; i += 1) {
      const node = new ClusterNode(`node-${i}`, randomInt(1, 2 ** 32));
      this.nodes.push(node);
      await node.setup(this.#setupOf(node, '127.0.0.1:0', undefined));
    }
    await this.joined();
  }

  /** A process again where one was killed: same name, address and kernel, empty memory. */
  async restart(index: number, plan: FlowPlan): Promise<void> {
    const before = this.nodes[index]!;
    const node = new ClusterNode(before.id, before.boot);
    this.nodes[index] = node;
    await node.setup(this.#setupOf(node, before.address, plan));
  }

  /** Resolves when every node sees all others alive. */
  async joined(): Promise<void> {
    const endMs = performance.now() + 30_000;
    for (;;) {
      const usages = await this.usages();
      if (usages.every(({ live }) => live === this.nodes.length)) return;
      if (performance.now() > endMs) {
        throw new BenchError('The nodes do not find each other.', 'ERR_BENCH_PROCESS');
      }
      await sleep(100, this.#options.signal);
    }
  }

  usages(): Promise<NodeUsage[]> {
    return Promise.all(this.nodes.map((node) => node.usage()));
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  #setupOf(node: ClusterNode, listen: string, plan: FlowPlan | undefined): NodeSetup {
    const { dropShare, capacity, timedFlows, way = 'mesh' } = this.#options;
    const join = this.nodes.map(({ address }) => address).filter((address) => address !== '');
    const { id, boot } = node;
    const key = this.#key;
    return { way, id, listen, join, key, boot, dropShare, capacity, timedFlows, plan };
  }
}

/** Runs with a cluster that is gone afterwards, whatever happens. */
export async function withCluster<T>(
  options: ClusterOptions,
  run: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const cluster = new Cluster(options);
  try {
    await cluster.start();
    return await run(cluster);
  } finally {
    await cluster.close();
  }
}
