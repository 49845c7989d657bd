/** Healing on: `holdfast agent` of this checkout in every PoP, over the backbone. */
import { randomBytes } from 'node:crypto';
import { readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { AgentStatus } from '../../../src/agent/agent-status.ts';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { tryCommand } from '../command.ts';
import { Daemon, insideNamespace, waitUntil } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import { packageRoot } from '../package-root.ts';
import { hostPort } from '../servers/server.ts';
import type { PopPlan } from '../topology.ts';
import { costOf, countPrograms } from './cost.ts';
import type { HealingCounters, HealingDriver } from './healing.ts';

/** Where each PoP's agent answers, inside the PoP. */
export const AGENT_ADMIN = '127.0.0.1:2029';
const MESH_PORT = 7946;
const READY_TIMEOUT_MS = 40_000;
const STOP_TIMEOUT_MS = 5_000;
const REMOVE_TIMEOUT_MS = 60_000;

/** What runs in one PoP. */
interface Site {
  /**
   * Owns a mount namespace, so that the BPF file system of this PoP ends with its processes and is
   * seen by nobody else; a machine of its own would have one anyway.
   */
  mounts: Daemon;
  agent: Daemon | undefined;
}

interface LabState {
  readonly key: string;
  readonly sites: Map<string, Site>;
}

const states = new WeakMap<Lab, LabState>();

function stateOf(lab: Lab): LabState {
  let state = states.get(lab);
  if (state === undefined) {
    state = { key: randomBytes(32).toString('base64url'), sites: new Map() };
    states.set(lab, state);
  }
  return state;
}

const program = () => fileURLToPath(new URL('bin/holdfast.js', packageRoot()));

function config(lab: Lab, pop: PopPlan): ConfigInput {
  const { family } = lab.options;
  const underlay = (each: PopPlan) => each.underlayAddress[family];
  const { vip, pops } = lab.topology;
  return {
    node: pop.name,
    pop: pop.name,
    vips: ([4, 6] as const).map((each) => `http://${hostPort(vip[each], lab.port)}`),
    mesh: {
      listen: hostPort(underlay(pop), MESH_PORT),
      join: pops.map((each) => hostPort(underlay(each), MESH_PORT)),
      keys: stateOf(lab).key,
      label: `lab-${lab.id}`,
    },
    datapath: {
      uplink: pop.uplink,
      underlay: underlay(pop),
      pinDirectory: join(lab.directory(pop.name), 'bpf'),
      ticketsMax: 65_536,
      ownFlowsMax: 65_536,
    },
    admin: AGENT_ADMIN,
    sites: {},
  };
}

const configFile = (lab: Lab, pop: PopPlan) => join(lab.directory(pop.name), 'agent.yaml');

/** The command, inside the PoP's mount namespace. */
function agentArgv(lab: Lab, pop: PopPlan, site: Site, ...words: string[]): string[] {
  const mounts = `--mount=/proc/${site.mounts.pid}/ns/mnt`;
  const command = [process.execPath, program(), 'agent', '--config', configFile(lab, pop)];
  return ['nsenter', mounts, '--', ...command, ...words];
}

async function isRunning(daemon: Daemon): Promise<boolean> {
  return await daemon.requireRunning().then(
    () => true,
    () => false,
  );
}

async function openSite(lab: Lab, pop: PopPlan): Promise<Site> {
  const { sites } = stateOf(lab);
  const before = sites.get(pop.name);
  if (before !== undefined && (await isRunning(before.mounts))) return before;
  const mounts = await Daemon.start({
    title: `mount namespace of ${pop.name}`,
    namespace: lab.namespace(pop.name),
    argv: ['unshare', '--mount', '--propagation', 'private', 'sleep', 'infinity'],
    logFile: join(lab.directory(pop.name), 'mounts.log'),
  });
  const own = await readlink('/proc/self/ns/mnt');
  await waitUntil(
    async () => (await readlink(`/proc/${mounts.pid}/ns/mnt`).catch(() => own)) !== own,
    { complaint: 'no mount namespace', timeoutMs: STOP_TIMEOUT_MS, everyMs: 10, daemons: [mounts] },
  );
  const site: Site = { mounts, agent: undefined };
  sites.set(pop.name, site);
  return site;
}

/** `undefined` when no agent answers. */
async function agentStatus(lab: Lab, pop: PopPlan): Promise<AgentStatus | undefined> {
  const curl = ['curl', '-q', '-s', '-f', '-m', '2', `http://${AGENT_ADMIN}/status`];
  const { code, stdout } = await tryCommand(insideNamespace(lab.namespace(pop.name), curl));
  if (code !== 0) return undefined;
  return (JSON.parse(stdout) as { agent: AgentStatus }).agent;
}

async function endAgent(site: Site | undefined, signal: NodeJS.Signals): Promise<void> {
  const agent = site?.agent;
  if (site === undefined || agent === undefined) return;
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  let next: NodeJS.Signals | undefined = signal;
  while (await isRunning(agent)) {
    if (performance.now() > deadline) next = 'SIGKILL';
    if (next !== undefined && agent.pid !== undefined) process.kill(agent.pid, next);
    next = undefined;
    await sleep(20);
  }
  site.agent = undefined;
}

async function startAgent(lab: Lab, pop: PopPlan, site: Site): Promise<Daemon> {
  await writeFile(configFile(lab, pop), stringify(config(lab, pop)), { mode: 0o600 });
  site.agent = await Daemon.start({
    title: `holdfast agent on ${pop.name}`,
    namespace: lab.namespace(pop.name),
    argv: agentArgv(lab, pop, site),
    logFile: join(lab.directory(pop.name), 'agent.log'),
  });
  return site.agent;
}

export const agentDriver: HealingDriver = {
  mode: 'on',
  programs: ['unshare', 'curl'],

  async start(lab, pop) {
    countPrograms();
    const site = await openSite(lab, pop);
    // From the run before: its datapath and its view of the others are as good as new ones.
    const running = site.agent !== undefined && (await isRunning(site.agent)) && site.agent;
    const agent = running || (await startAgent(lab, pop, site));
    const others = lab.topology.pops.filter((each) => each !== pop && !lab.crashed.has(each));
    const wanted = others.length + 1;
    const ready = async () => {
      const status = await agentStatus(lab, pop);
      if (status?.state !== 'running') return false;
      return status.members.alive >= wanted && status.homes.nodes >= wanted;
    };
    await waitUntil(ready, {
      complaint: `the agent on ${pop.name} does not see ${wanted} nodes`,
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 100,
      daemons: [agent],
      signal: lab.options.signal,
    });
  },

  async stop(lab, pop) {
    const site = stateOf(lab).sites.get(pop.name);
    if (site === undefined) return;
    await endAgent(site, 'SIGTERM');
    if (await isRunning(site.mounts)) {
      const remove = agentArgv(lab, pop, site, '--remove');
      await tryCommand(insideNamespace(lab.namespace(pop.name), remove), {
        timeoutMs: REMOVE_TIMEOUT_MS,
      });
      if (site.mounts.pid !== undefined) process.kill(site.mounts.pid);
    }
    stateOf(lab).sites.delete(pop.name);
  },

  async kill(lab, pop) {
    await endAgent(stateOf(lab).sites.get(pop.name), 'SIGKILL');
  },

  cost(lab, pop) {
    const pid = lab.crashed.has(pop) ? undefined : stateOf(lab).sites.get(pop.name)?.agent?.pid;
    return pid === undefined ? undefined : costOf(pid);
  },

  async counters(lab, pop): Promise<HealingCounters> {
    const status = lab.crashed.has(pop) ? undefined : await agentStatus(lab, pop);
    if (status === undefined) return { relayedPackets: 0, verdicts: {} };
    const { verdicts } = status;
    // What came in by the uplink and left by the tunnel.
    return { relayedPackets: verdicts.relay_ticket + verdicts.find, verdicts };
  },
};
