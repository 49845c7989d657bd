/** One node of the benchmark: a mesh with a flow-ticket directory, and flows made by a plan. */
import type { FlowKey } from '../../src/proto/ticket-key.ts';
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import type { PeerIndex } from '../../src/sync/core.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import { isLive } from '../../src/sync/member-table.ts';
import { Mesh } from '../../src/sync/mesh.ts';
import { TicketChanges } from '../../src/sync/ticket-changes.ts';
import { type FlowPlan, flowBucket, flowKey, flowNumber, liveFlows } from './flow.ts';
import type { BenchNode, NodeAnswer, NodeOrder, NodeSetup, NodeUsage } from './order.ts';
import { StreamNode } from './stream-node.ts';

/** How often a real node reads its kernel's events. */
const STEP_MS = 2;
/** Flows published in one step; a restarted node has many at once. */
const STEP_FLOWS_MAX = 2_000;

const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

class TimedChanges extends TicketChanges {
  readonly times: Float64Array;

  constructor(flows: number) {
    super(64);
    this.times = new Float64Array(flows);
  }

  override learned(key: FlowKey, _owner: PeerIndex): void {
    const n = flowNumber(key);
    if (n < this.times.length && this.times[n] === 0) this.times[n] = machineMs();
  }

  override voided(): void {}
}

class MeshNode implements BenchNode {
  readonly #mesh: Mesh;
  readonly #directory: Directory;
  readonly #times: Float64Array | undefined;
  readonly #key = new Uint32Array(KEY_WORDS);
  #plan: FlowPlan | undefined;
  #low = 0;
  #high = 0;
  #restoring: boolean;

  static async start(setup: NodeSetup): Promise<MeshNode> {
    const changes = setup.timedFlows > 0 ? new TimedChanges(setup.timedFlows) : undefined;
    let directory: Directory | undefined;
    const restoring = setup.plan !== undefined;
    const mesh = await Mesh.start({
      id: setup.id,
      listen: setup.listen,
      join: setup.join,
      keys: [Buffer.from(setup.key, 'base64')],
      boot: setup.boot,
      components: (nowMs, peers, random) => {
        const { capacity } = setup;
        directory = new Directory(nowMs, {
          peers,
          random,
          capacity,
          restoring,
          ...(changes === undefined ? {} : { changes }),
        });
        return [directory];
      },
      // Only what arrives is dropped: with every node doing so, both directions lose.
      datagramFilter: (direction) => direction === 'out' || Math.random() >= setup.dropShare,
    });
    return new MeshNode(mesh, directory!, changes?.times, setup.plan, restoring);
  }

  private constructor(
    mesh: Mesh,
    directory: Directory,
    times: Float64Array | undefined,
    plan: FlowPlan | undefined,
    restoring: boolean,
  ) {
    this.#mesh = mesh;
    this.#directory = directory;
    this.#times = times;
    this.#restoring = restoring;
    if (plan !== undefined) this.follow(plan);
    setInterval(() => this.#step(), STEP_MS);
  }

  get address(): string {
    return this.#mesh.address;
  }

  follow(plan: FlowPlan): void {
    this.#plan = plan;
    const { low } = liveFlows(plan, machineMs());
    this.#low = low;
    this.#high = low;
  }

  usage(): NodeUsage {
    const { user, system } = process.cpuUsage();
    const { links, membership } = this.#mesh.core;
    const { counters } = this.#directory;
    return {
      cpuMs: (user + system) / 1_000,
      rssBytes: process.memoryUsage.rss(),
      live: membership.table.live().length,
      ticketsOwned: counters.ticketsOwned!,
      ticketsKept: counters.ticketsKept!,
      bytesIn: links.counters.bytesIn,
      bytesOut: links.counters.bytesOut,
      datagramsIn: links.counters.datagramsIn,
      datagramsOut: links.counters.datagramsOut,
    };
  }

  times(): Float64Array {
    return this.#times ?? new Float64Array(0);
  }

  count(owner: string, low: number, high: number): number {
    const { peers } = this.#mesh;
    const peer = peers.indexOf(owner);
    const member = peer === undefined ? undefined : peers.get(peer);
    if (member === undefined || !isLive(member)) return 0;
    let known = 0;
    for (let n = low; n < high; n += 1) {
      if (this.#directory.lookupLocal(flowKey(n, this.#key)) === peer) known += 1;
    }
    return known;
  }

  close(): Promise<void> {
    return this.#mesh.close();
  }

  #step(): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    const { low, high } = liveFlows(plan, machineMs());
    const directory = this.#directory;
    const until = Math.min(high, this.#high + STEP_FLOWS_MAX);
    if (until === this.#high && low === this.#low) return;
    this.#mesh.act((nowMs, out) => {
      for (let n = this.#low; n < Math.min(low, this.#high); n += 1) {
        directory.end(nowMs, flowBucket(n), flowKey(n, this.#key), 1, out);
      }
      for (let n = Math.max(this.#high, low); n < until; n += 1) {
        if (this.#times !== undefined && n < this.#times.length) this.#times[n] = machineMs();
        directory.publish(nowMs, flowBucket(n), flowKey(n, this.#key), 1, out);
      }
    });
    this.#low = low;
    this.#high = Math.max(until, low);
    if (this.#restoring && this.#high === high) {
      this.#restoring = false;
      directory.restored();
    }
  }
}

let node: BenchNode | undefined;

async function obey(order: NodeOrder): Promise<NodeAnswer> {
  switch (order.type) {
    case 'setup':
      node = await (order.setup.way === 'mesh' ? MeshNode : StreamNode).start(order.setup);
      return { type: 'ready', address: node.address };
    case 'plan':
      node!.follow(order.plan);
      return { type: 'done' };
    case 'usage':
      return { type: 'usage', usage: node!.usage() };
    case 'times':
      return { type: 'times', times: node!.times() };
    case 'count':
      return { type: 'count', known: node!.count(order.owner, order.low, order.high) };
    case 'close':
      await node?.close();
      return { type: 'done' };
  }
}

process.on('message', (order: NodeOrder) => {
  obey(order).then(
    (answer) => {
      process.send!(answer, () => {
        if (order.type === 'close') process.exit(0);
      });
    },
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
// The benchmark is gone: so are we.
process.on('disconnect', () => process.exit(1));
