/**
 * What one would write first, as the base to compare with: one TCP connection to each other process,
 * a record for each ticket, and a `Map` of objects at the other end. It encrypts nothing, survives no
 * loss of a process, and forgets no ticket. What it costs is what sending and keeping cost at least.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type FlowPlan, flowBucket, liveFlows } from './flow.ts';
import type { BenchNode, NodeSetup, NodeUsage } from './order.ts';

/** How often new tickets are sent: as in the mesh. */
const STEP_MS = 2;
const STEP_FLOWS_MAX = 2_000;
/** As a record of the mesh has: flow, bucket, generation. */
export const RECORD_BYTES = 18;

/** Addresses and ports of the flow as text: what a first version would use as a key. */
const keyOf = (n: number): string => `203.0.113.${n >>> 16}:${n & 0xffff}-192.0.2.10:443`;

interface Ticket {
  readonly owner: number;
  readonly bucket: number;
  readonly generation: number;
}

const machineMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export class StreamNode implements BenchNode {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #tickets = new Map<string, Ticket>();
  readonly #times: Float64Array;
  #plan: FlowPlan | undefined;
  #sent = 0;
  #owned = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #writes = 0;
  address = '';

  static async start(setup: NodeSetup): Promise<StreamNode> {
    const node = new StreamNode(setup.timedFlows);
    await node.#open(setup.join);
    return node;
  }

  private constructor(timedFlows: number) {
    this.#times = new Float64Array(timedFlows);
    this.#server = createServer({ noDelay: true }, (socket) => this.#take(socket));
    setInterval(() => this.#step(), STEP_MS);
  }

  follow(plan: FlowPlan): void {
    this.#plan = plan;
    this.#sent = liveFlows(plan, machineMs()).low;
  }

  usage(): NodeUsage {
    const { user, system } = process.cpuUsage();
    return {
      cpuMs: (user + system) / 1_000,
      rssBytes: process.memoryUsage.rss(),
      live: 1 + this.#sockets.size,
      ticketsOwned: this.#owned,
      ticketsKept: this.#tickets.size,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      datagramsIn: 0,
      datagramsOut: this.#writes,
    };
  }

  times(): Float64Array {
    return this.#times;
  }

  /** Only one node of a benchmark owns flows here, so `owner` needs no look. */
  count(_owner: string, low: number, high: number): number {
    let known = 0;
    for (let n = low; n < high; n += 1) if (this.#tickets.has(keyOf(n))) known += 1;
    return known;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  async #open(join: readonly string[]): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    this.address = `127.0.0.1:${address.port}`;
    for (const other of join) {
      const [host, port] = other.split(':');
      const socket = connect({ host: host!, port: Number(port), noDelay: true });
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      });
      this.#take(socket);
    }
  }

  #take(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    let rest: Buffer | undefined;
    socket.on('data', (data: Buffer) => {
      this.#bytesIn += data.length;
      const bytes = rest === undefined ? data : Buffer.concat([rest, data]);
      const atMs = machineMs();
      let at = 0;
      for (; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) this.#learn(bytes, at, atMs);
      rest = at < bytes.length ? bytes.subarray(at) : undefined;
    });
  }

  #learn(bytes: Buffer, at: number, atMs: number): void {
    const n = bytes.readUInt32BE(at);
    const bucket = bytes.readUInt16BE(at + 4);
    const generation = bytes.readUInt32BE(at + 6);
    this.#tickets.set(keyOf(n), { owner: bytes.readUInt32BE(at + 10), bucket, generation });
    if (n < this.#times.length && this.#times[n] === 0) this.#times[n] = atMs;
  }

  #step(): void {
    if (this.#plan === undefined) return;
    const { high } = liveFlows(this.#plan, machineMs());
    const until = Math.min(high, this.#sent + STEP_FLOWS_MAX);
    const count = until - this.#sent;
    if (count <= 0) return;
    const records = Buffer.alloc(count * RECORD_BYTES);
    for (let i = 0; i < count; i += 1) {
      const n = this.#sent + i;
      if (n < this.#times.length) this.#times[n] = machineMs();
      records.writeUInt32BE(n, i * RECORD_BYTES);
      records.writeUInt16BE(flowBucket(n), i * RECORD_BYTES + 4);
      records.writeUInt32BE(1, i * RECORD_BYTES + 6);
      records.writeUInt32BE(process.pid, i * RECORD_BYTES + 10);
    }
    for (const socket of this.#sockets) {
      socket.write(records);
      this.#bytesOut += records.length;
      this.#writes += 1;
    }
    this.#owned += count;
    this.#sent = until;
  }
}
