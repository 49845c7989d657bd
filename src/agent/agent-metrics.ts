/** What an agent counts, for Prometheus. Everything is read when it is asked for. */
import { Counter, Gauge, Registry } from 'prom-client';
import { ANNOUNCE_STATES } from '../announce/state.ts';
import { COUNTS, VERDICTS, WAYS } from '../datapath/verdicts.ts';
import type { Directory } from '../sync/directory/directory.ts';
import type { Mesh } from '../sync/mesh.ts';
import type { Sessions } from '../sync/sessions.ts';
import type { Agent } from './agent.ts';
import type { AgentAnnounce } from './agent-announce.ts';

/** Names among the mesh's counters that go up and down. */
const GAUGES: ReadonlySet<string> = new Set([
  'ticketsOwned',
  'ticketsKept',
  'windowBytes',
  'findsPending',
  'homesVersion',
  'ticketKeyEpoch',
  'sessionsOwned',
  'sessionsKept',
  'getsPending',
]);

/** What counts in a mesh, with or without a datapath. */
export interface MeshParts {
  readonly settings: { readonly node: string; readonly version: string };
  readonly mesh: Mesh;
  readonly directory: Directory;
  readonly sessions: Sessions;
}

/** @param agent asked at each scrape; its node's name labels `holdfast_agent_info`. */
export function agentMetrics(agent: Agent, announce?: AgentAnnounce): Registry {
  const registry = meshMetrics(agent);
  addHealing(registry, agent);
  addAll(registry, 'flows', agent.flows.counters as object as Counts);
  addAll(registry, 'healer', agent.healer.counters);
  addAll(registry, 'announce', agent.routes.counters);
  if (announce !== undefined) addAnnouncement([registry], announce);
  return registry;
}

function addAnnouncement(registers: Registry[], announce: AgentAnnounce): void {
  new Gauge({
    name: 'holdfast_announce_state',
    help: '1 for what this node announces, 0 for the other states.',
    labelNames: ['state'],
    registers,
    collect() {
      const { state } = announce.status;
      for (const each of ANNOUNCE_STATES) this.set({ state: each }, Number(each === state));
    },
  });
  new Counter({
    name: 'holdfast_announce_changes_total',
    help: 'Changes of what this node announces.',
    registers,
    collect() {
      this.reset();
      this.inc(announce.status.changes);
    },
  });
  new Gauge({
    name: 'holdfast_announce_routing_follows',
    help: '1 while the routing does what it was asked for.',
    registers,
    collect() {
      this.set(Number(announce.status.routing.ok));
    },
  });
}

/** Of an agent without a datapath. */
export function meshMetrics(parts: MeshParts): Registry {
  const registry = new Registry();
  const registers = [registry];
  const { node, version } = parts.settings;
  const info = 'Always 1; the labels say what runs.';
  new Gauge({ name: 'holdfast_agent_info', help: info, labelNames: ['node', 'version'], registers })
    .labels(node, version)
    .set(1);
  new Gauge({
    name: 'holdfast_mesh_members',
    help: 'Nodes that this one knows, itself among them, by status.',
    labelNames: ['status'],
    registers,
    collect() {
      this.reset();
      for (const status of ['alive', 'suspect', 'dead', 'left']) this.set({ status }, 0);
      for (const peer of parts.mesh.peers.indices()) {
        this.inc({ status: parts.mesh.peers.get(peer)?.status ?? 'dead' });
      }
    },
  });
  for (const [prefix, counters] of countersOf(parts)) addAll(registry, prefix, counters);
  return registry;
}

/** What the datapath does. */
function addHealing(registry: Registry, agent: Agent): void {
  const registers = [registry];
  new Counter({
    name: 'holdfast_datapath_packets_total',
    help: `Packets by how the datapath ended them: ${VERDICTS.map(([name, what]) => `${name} (${what})`).join('; ')}.`,
    labelNames: ['verdict'],
    registers,
    collect() {
      this.reset();
      for (const [verdict, count] of Object.entries(agent.datapath.verdicts.read())) {
        this.inc({ verdict }, count);
      }
    },
  });
  new Counter({
    name: 'holdfast_datapath_tunnel_packets_total',
    help: `Packets sent into the tunnel: ${WAYS.map(([name, what]) => `${name} (${what})`).join('; ')}.`,
    labelNames: ['way'],
    registers,
    collect() {
      this.reset();
      for (const [way, count] of Object.entries(agent.datapath.ways.read())) {
        this.inc({ way }, count);
      }
    },
  });
  new Counter({
    name: 'holdfast_datapath_troubles_total',
    help: `What the datapath could not do: ${COUNTS.map(([name, what]) => `${name} (${what})`).join('; ')}.`,
    labelNames: ['trouble'],
    registers,
    collect() {
      this.reset();
      for (const [trouble, count] of Object.entries(agent.datapath.counts.read())) {
        this.inc({ trouble }, count);
      }
      this.inc({ trouble: 'tickets_refused' }, agent.datapath.tickets.refused);
    },
  });
  new Counter({
    name: 'holdfast_switched_flows_total',
    help: 'Flows relayed from here to their owners, by how the owner was known.',
    labelNames: ['found_by'],
    registers,
    collect() {
      this.reset();
      for (const [by, count] of Object.entries(agent.switched.counts)) {
        this.inc({ found_by: by }, count);
      }
    },
  });
  new Gauge({
    name: 'holdfast_homes_nodes',
    help: 'Nodes in the table of homes that is in force.',
    registers,
    collect() {
      this.set(agent.homes.named);
    },
  });
}

type Counts = Readonly<Record<string, number>>;

/** All named counts of the mesh. */
function countersOf({ mesh, directory, sessions }: MeshParts): [string, Counts][] {
  const { core, keys, streams, socketCounters } = mesh;
  const counts = (object: object) => object as Counts;
  return [
    ['mesh', counts(core.counters)],
    ['mesh_membership', counts(core.membership.counters)],
    ['mesh_links', counts(core.links.counters)],
    ['mesh_streams', counts(streams.counters)],
    ['mesh_socket', counts(socketCounters)],
    ['mesh_keys', counts(keys.counters)],
    ['directory', directory.counters],
    ['sessions', sessions.counters],
  ];
}

function addAll(
  registry: Registry,
  prefix: string,
  counters: Readonly<Record<string, number>>,
): void {
  for (const key of Object.keys(counters)) {
    const words = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const help = `${prefix.replaceAll('_', ' ')}: ${words.replaceAll('_', ' ')}.`;
    const registers = [registry];
    if (GAUGES.has(key)) {
      new Gauge({
        name: `holdfast_${prefix}_${words}`,
        help,
        registers,
        collect() {
          this.set(counters[key] ?? 0);
        },
      });
    } else {
      new Counter({
        name: `holdfast_${prefix}_${words}_total`,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(counters[key] ?? 0);
        },
      });
    }
  }
}
