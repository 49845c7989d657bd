/**
 * A whole mesh with directories under load, small enough to be simulated without any model: what the
 * models of the big one are checked against.
 */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import type { SimNode } from '../../src/sync/sim/sim-node.ts';
import { World } from '../../src/sync/sim/world.ts';

/** How often an agent reads its kernel's events. */
const STEP_MS = 2;
/** Tickets put into a directory at a time while it is filled. */
const FILL = 200;

export interface WholeLoad {
  readonly nodes: number;
  readonly loss: number;
  /** One way, over all pairs of nodes. */
  readonly meanDelayMs: number;
  readonly seed: number;
}

export interface Counted {
  readonly bytes: number;
  readonly datagrams: number;
}

interface Flow {
  readonly n: number;
  readonly bucket: number;
}

export class WholeWorld {
  readonly world: World;
  readonly directories = new Map<SimNode, Directory>();
  readonly #flows = new Map<SimNode, Flow[]>();
  readonly #key = new Uint32Array(KEY_WORDS);
  #born = 0;

  constructor({ nodes, loss, meanDelayMs, seed }: WholeLoad) {
    this.world = new World({
      nodes,
      seed,
      // Places on a line lie a third of its length apart on average.
      network: { loss, delayMinMs: 0.25, delayMaxMs: Math.max(1, 3 * meanDelayMs) },
      components: (peers, random, node) => {
        const nowMs = node.localMs(this.world.nowMs);
        const directory = new Directory(nowMs, { peers, random, capacity: 200_000 });
        this.directories.set(node, directory);
        this.#flows.set(node, []);
        return [directory];
      },
    });
    this.#key[2] = 0xffff0000;
    this.#key[6] = 0xffff0000;
    this.#key[7] = 0x0a0200c0;
    this.world.runUntil(15_000);
  }

  /** Gives every node that many flows, and waits until all homes have them. */
  fill(flowsPerNode: number): void {
    const { world } = this;
    for (let left = flowsPerNode; left > 0; left -= FILL) {
      for (const node of world.nodes) this.#begin(node, Math.min(FILL, left));
      world.runUntil(world.nowMs + 20);
    }
    world.runUntil(world.nowMs + 20_000);
  }

  /** Lets flows begin and end on every node, as many of each, and counts what is sent. */
  load(birthsPerNodePerS: number, seconds: number): Counted {
    const { world } = this;
    const before = this.#counted();
    const endMs = world.nowMs + seconds * 1_000;
    if (birthsPerNodePerS > 0) {
      for (const node of world.nodes) {
        this.#arrivals(birthsPerNodePerS, endMs, (count) => this.#begin(node, count));
        this.#arrivals(birthsPerNodePerS, endMs, (count) => this.#end(node, count));
      }
    }
    world.runUntil(endMs);
    const after = this.#counted();
    return {
      bytes: after.bytes - before.bytes,
      datagrams: after.datagrams - before.datagrams,
    };
  }

  #counted(): Counted {
    const { datagramBytes, streamBytes, datagrams } = this.world;
    return { bytes: datagramBytes + streamBytes, datagrams };
  }

  #flowKey(n: number): Uint32Array {
    this.#key[3] = Math.imul(n, 0x9e3779b1) >>> 0;
    this.#key[8] = (0xbb010000 | (Math.imul(n, 0x85ebca6b) & 0xffff)) >>> 0;
    return this.#key;
  }

  #begin(node: SimNode, count: number): void {
    const flows = this.#flows.get(node)!;
    const directory = this.directories.get(node)!;
    this.world.act(node, (nowMs, out) => {
      for (let i = 0; i < count; i++) {
        const flow = { n: ++this.#born, bucket: this.world.random.below(65_536) };
        flows.push(flow);
        directory.publish(nowMs, flow.bucket, this.#flowKey(flow.n), flow.n, out);
      }
    });
  }

  #end(node: SimNode, count: number): void {
    const flows = this.#flows.get(node)!;
    const directory = this.directories.get(node)!;
    this.world.act(node, (nowMs, out) => {
      for (let i = 0; i < count && flows.length > 0; i++) {
        const at = this.world.random.below(flows.length);
        const { n, bucket } = flows[at]!;
        flows[at] = flows.at(-1)!;
        flows.pop();
        directory.end(nowMs, bucket, this.#flowKey(n), n, out);
      }
    });
  }

  /** Poisson arrivals, gathered in steps as an agent reads them. */
  #arrivals(perS: number, endMs: number, arrive: (count: number) => void): void {
    const { world } = this;
    const waitMs = () => (-1_000 / perS) * Math.log(1 - world.random.float());
    let nextMs = world.nowMs + waitMs();
    const step = () => {
      let count = 0;
      for (; nextMs <= world.nowMs; nextMs += waitMs()) count++;
      if (count > 0) arrive(count);
      later();
    };
    const later = () => {
      const atMs = Math.ceil(nextMs / STEP_MS) * STEP_MS;
      if (atMs <= endMs) world.at(atMs, step);
    };
    later();
  }
}
