import { PROTOCOL_MAX } from '../../src/proto/protocol.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import type { DirectoryOptions } from '../../src/sync/directory/settings.ts';
import type { Homes } from '../../src/sync/homes.ts';
import { NO_HOME } from '../../src/sync/homes-build.ts';
import type { SimNode } from '../../src/sync/sim/sim-node.ts';
import type { TrialPart } from '../../src/sync/sim/trial.ts';
import type { World } from '../../src/sync/sim/world.ts';
import { flowKey } from '../mesh/flow.ts';

const BUCKETS = 256;
const LOAD_GAP_MS = 200;
const COMPLAINTS_MAX = 3;
/** Two digests and a repair, after the last change of a table has settled. */
const REPAIR_MS = 4_000;
/** The same among nodes of which some cannot ask for a digest. */
const MIXED_REPAIR_MS = 8_000;
const WATCH_GAP_MS = 250;
/** New flows for the streams alone: so many on so many nodes, at once. */
const BURST_NODES = 5;
const BURST_FLOWS = 10;
/**
 * By then they are at their homes, without anti-entropy: a home compares no digest before a gap has
 * been open for 2 s.
 */
const BURST_MS = 2_000;

interface Flow {
  readonly n: number;
  readonly generation: number;
}

/** What one machine's kernel holds, whatever its process does. */
interface Kernel {
  boot: number;
  readonly flows: Map<number, Flow>;
  directory: Directory;
}

/** Flow tickets as a part of a world; other parts may use the directory's table. */
export interface TicketPart extends TrialPart {
  homesOf(node: SimNode): Homes;
}

function bucketOf(n: number): number {
  return (Math.imul(n, 0x9e3779b1) >>> 16) % BUCKETS;
}

/**
 * Flow tickets under load while the faults happen. When all is quiet, every live flow must be at
 * every one of its homes, all nodes must agree on the homes, and no flow that ended may be found.
 * Then a burst of new flows must be at their homes {@link BURST_MS} later, whatever the loss.
 */
export function ticketPart(seed: number, settings: Partial<DirectoryOptions> = {}): TicketPart {
  const kernels = new Map<SimNode, Kernel>();
  const ended: number[] = [];
  let world: World;
  let flows = seed * 7;
  let generation = 0;
  let isQuiet = false;
  let unsettledAtMs = 0;

  const publish = (node: SimNode, flow: Flow): void => {
    const { directory } = kernels.get(node)!;
    world.act(node, (nowMs, out) => {
      directory.publish(nowMs, bucketOf(flow.n), flowKey(flow.n), flow.generation, out);
    });
  };

  const accept = (node: SimNode): void => {
    const flow = { n: ++flows, generation: ++generation };
    kernels.get(node)!.flows.set(flow.n, flow);
    publish(node, flow);
  };

  const load = (): void => {
    if (isQuiet) return;
    world.at(world.nowMs + LOAD_GAP_MS, load);
    const node = world.nodes[world.random.below(world.nodes.length)]!;
    // A stalled process reads its kernel's events later; here it simply gets no new flows.
    if (!node.up || node.stalledUntilMs > world.nowMs) return;
    const kernel = kernels.get(node)!;
    if (kernel.flows.size > 0 && world.random.chance(0.4)) {
      const flow = kernel.flows.values().next().value!;
      kernel.flows.delete(flow.n);
      ended.push(flow.n);
      world.act(node, (nowMs, out) => {
        kernel.directory.end(nowMs, bucketOf(flow.n), flowKey(flow.n), flow.generation, out);
      });
    } else accept(node);
  };

  const burst = (): string[] => {
    const chosen = world.up();
    world.random.shuffle(chosen);
    const byId = new Map(chosen.map((node) => [node.id, node]));
    const due: { readonly owner: SimNode; readonly n: number; readonly home: SimNode }[] = [];
    for (const owner of chosen.slice(0, BURST_NODES)) {
      for (let i = 0; i < BURST_FLOWS; i += 1) {
        accept(owner);
        for (const id of homeIds(owner, kernels.get(owner)!.directory, bucketOf(flows))) {
          const home = byId.get(id);
          // Two that never met need a key exchange first, and that may get lost for longer.
          if (home === undefined || !owner.core!.links.ready(home.address, id)) continue;
          due.push({ owner, n: flows, home });
        }
      }
    }
    world.runUntil(world.nowMs + BURST_MS);
    return due
      .filter(({ owner, n, home }) => ownerAt(home, kernels.get(home)!, n) !== owner.id)
      .slice(0, COMPLAINTS_MAX)
      .map(({ owner, n, home }) => `new flow ${n} of ${owner.id} is late at its home ${home.id}`);
  };

  const watchHomes = (): void => {
    const isUnsettled = (node: SimNode) => kernels.get(node)!.directory.homes.unsettled;
    if (world.up().some(isUnsettled)) unsettledAtMs = world.nowMs;
    world.at(world.nowMs + WATCH_GAP_MS, watchHomes);
  };

  return {
    homesOf: (node) => kernels.get(node)!.directory.homes,
    components(peers, random, node) {
      const before = kernels.get(node);
      const isSameBoot = before !== undefined && before.boot === node.boot;
      const held = isSameBoot ? before.flows : new Map<number, Flow>();
      if (before !== undefined && !isSameBoot) ended.push(...before.flows.keys());
      const directory = new Directory(node.localMs(world.nowMs), {
        capacity: 20_000,
        ...settings,
        restoring: held.size > 0,
        homes: { buckets: BUCKETS },
        peers,
        random,
      });
      kernels.set(node, { boot: node.boot, flows: held, directory });
      if (held.size > 0) {
        const { run } = node;
        world.at(world.nowMs + 50, () => {
          if (!node.up || node.run !== run) return;
          for (const flow of held.values()) publish(node, flow);
          directory.restored();
        });
      }
      return [directory];
    },
    begin(theWorld) {
      world = theWorld;
      world.at(3_000, load);
    },
    quiet() {
      isQuiet = true;
      watchHomes();
    },
    busy() {
      // A death that was found out late moves tickets late.
      const canAsk = world.nodes.every((node) => node.protocolMax >= PROTOCOL_MAX);
      return world.nowMs < unsettledAtMs + (canAsk ? REPAIR_MS : MIXED_REPAIR_MS);
    },
    check() {
      const complaints = checkTickets(world, kernels, ended);
      return complaints.length > 0 ? complaints : burst();
    },
  };
}

function homeIds(node: SimNode, directory: Directory, bucket: number): string[] {
  const { rows, replicas } = directory.homes;
  const ids: string[] = [];
  for (let i = bucket * replicas; i < (bucket + 1) * replicas; i += 1) {
    if (rows[i] !== NO_HOME) ids.push(node.core!.peers.get(rows[i]!)!.id);
  }
  return ids;
}

/** Who owns the flow, as far as that node knows without asking. */
function ownerAt(node: SimNode, { directory }: Kernel, n: number): string | undefined {
  const peer = directory.lookupLocal(flowKey(n));
  return peer === undefined ? undefined : node.core!.peers.get(peer)?.id;
}

function checkTickets(
  world: World,
  kernels: ReadonlyMap<SimNode, Kernel>,
  ended: readonly number[],
): string[] {
  const complaints: string[] = [];
  const complain = (text: string): void => {
    if (complaints.length < COMPLAINTS_MAX) complaints.push(text);
  };
  const up = world.up();
  const byId = new Map(up.map((node) => [node.id, node]));
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    const rows = up.map((node) => homeIds(node, kernels.get(node)!.directory, bucket).join(' '));
    if (new Set(rows).size > 1) complain(`homes of bucket ${bucket} differ: ${rows.join(' | ')}`);
  }
  for (const owner of up) {
    const { flows, directory } = kernels.get(owner)!;
    for (const { n } of flows.values()) {
      for (const id of homeIds(owner, directory, bucketOf(n))) {
        const home = byId.get(id);
        if (home !== undefined && ownerAt(home, kernels.get(home)!, n) !== owner.id) {
          complain(`flow ${n} of ${owner.id} is not at its home ${id}`);
        }
      }
    }
  }
  for (const n of ended) {
    for (const node of up) {
      const owner = ownerAt(node, kernels.get(node)!, n);
      if (owner !== undefined) complain(`${node.id} keeps the ended flow ${n} of ${owner}`);
    }
  }
  return complaints;
}
