/** Configurations of the lab's agents: beside a server, or one with holdfast's edge. */
import { join } from 'node:path';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { exabgpAnnouncement } from '../exabgp/config.ts';
import { exabgpSocket } from '../exabgp/daemon.ts';
import type { Lab } from '../lab.ts';
import { edgeConfig } from '../servers/holdfast.ts';
import { hostPort } from '../servers/server.ts';
import { siteOf } from '../servers/start.ts';
import { type PopPlan, TLS_PORT } from '../topology.ts';

/** Where each PoP's agent answers, inside the PoP. */
export const AGENT_ADMIN = '127.0.0.1:2029';
const MESH_PORT = 7946;

/** Of agents that announce: long enough for a busy machine, short enough to watch. */
export const DEAD_MAN_MS = 12_000;
const CONVERGE_MS = 2_000;
/** Longer than any scenario: what a drain leaves is left alone. */
const DRAIN_MS = 600_000;

/** True when holdfast is the server and has the agent in it. */
export const isWithin = ({ options: { server, agent = 'beside' } }: Lab): boolean =>
  agent === 'within' && server.name === 'holdfast';

export const announces = ({ options: { announcing = 'lab' } }: Lab): boolean =>
  announcing !== 'lab';

/** @param key Of the mesh of this lab. */
export function agentConfig(lab: Lab, pop: PopPlan, key: string): ConfigInput {
  const { vip } = lab.topology;
  const ports = lab.tls === undefined ? [lab.port] : [lab.port, TLS_PORT];
  // What answers there is not the agent's business, nor is TLS.
  const vips = ([4, 6] as const).flatMap((each) =>
    ports.map((port) => `http://${hostPort(vip[each], port)}`),
  );
  const edge: ConfigInput = isWithin(lab)
    ? edgeConfig(siteOf(lab, pop))
    : { node: pop.name, pop: pop.name, vips, sites: {} };
  return { ...edge, ...meshOf(lab, pop, key), admin: AGENT_ADMIN };
}

function meshOf(lab: Lab, pop: PopPlan, key: string): Partial<ConfigInput> {
  const { family } = lab.options;
  const underlay = (each: PopPlan) => each.underlayAddress[family];
  return {
    mesh: {
      listen: hostPort(underlay(pop), MESH_PORT),
      join: lab.topology.pops.map((each) => hostPort(underlay(each), MESH_PORT)),
      keys: key,
      label: `lab-${lab.id}`,
    },
    datapath: {
      uplink: pop.uplink,
      underlay: underlay(pop),
      pinDirectory: join(lab.directory(pop.name), 'bpf'),
      ticketsMax: 65_536,
      ownFlowsMax: 65_536,
    },
    ...(announces(lab) ? { announce: announceOf(lab, pop) } : {}),
  };
}

function announceOf(lab: Lab, pop: PopPlan): NonNullable<ConfigInput['announce']> {
  const common = {
    deadManMs: DEAD_MAN_MS,
    drain: { convergeMs: CONVERGE_MS, deadlineMs: DRAIN_MS },
    stateDirectory: join(lab.directory(pop.name), 'announce'),
    // A server that is not holdfast is asked for its health.
    ...(isWithin(lab) || lab.options.server.ready !== undefined
      ? {}
      : { check: { url: `${lab.baseUrl}/health` } }),
  };
  if (lab.options.announcing === 'exabgp') {
    const exabgp = exabgpAnnouncement(lab.topology, pop, exabgpSocket(lab, pop));
    return { ...common, driver: 'exabgp', exabgp };
  }
  return { ...common, driver: 'bird', socket: lab.birdSocket(pop.name) };
}
