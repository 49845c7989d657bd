/** Healing on: `holdfast agent` of this checkout in every PoP, over the backbone. */
import { randomBytes } from 'node:crypto';
import { readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { AgentAnnounceStatus } from '../../../src/agent/agent-announce.ts';
import type { AgentStatus } from '../../../src/agent/agent-status.ts';
import { tryCommand } from '../command.ts';
import { Daemon, insideNamespace, waitUntil } from '../daemons.ts';
import { LabError } from '../errors.ts';
import type { Lab } from '../lab.ts';
import { holdfastProgram } from '../package-root.ts';
import { startTicks } from '../process-table.ts';
import type { PopPlan } from '../topology.ts';
import { AGENT_ADMIN, agentConfig, announces, isWithin } from './agent-config.ts';
import { costOf, countPrograms } from './cost.ts';
import type { HealingCounters, HealingDriver } from './healing.ts';

const READY_TIMEOUT_MS = 40_000;
const STOP_TIMEOUT_MS = 5_000;
const REMOVE_TIMEOUT_MS = 60_000;
const OPERATE_TIMEOUT_MS = 90_000;
/** Exit code of a command that was obeyed by a node which is not up. */
const DEGRADED = 5;

/** What runs in one PoP. */
interface Site {
  /**
   * Owns a mount namespace, so that the BPF file system of this PoP ends with its processes and is
   * seen by nobody else; a machine of its own would have one anyway.
   */
  mounts: Daemon;
  agent: Daemon | undefined;
  /** The process of the release that runs now, when it is not the one that was started. */
  upgraded: number | undefined;
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

const configFile = (lab: Lab, pop: PopPlan) => join(lab.directory(pop.name), 'agent.yaml');

/** The command, inside the PoP's mount namespace. */
function agentArgv(
  lab: Lab,
  pop: PopPlan,
  site: Site,
  verb: 'agent' | 'run',
  ...words: string[]
): string[] {
  const mounts = `--mount=/proc/${site.mounts.pid}/ns/mnt`;
  const command = [process.execPath, holdfastProgram(), verb, '--config', configFile(lab, pop)];
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
  const site: Site = { mounts, agent: undefined, upgraded: undefined };
  sites.set(pop.name, site);
  return site;
}

/** `undefined` when no agent answers. */
async function ask(lab: Lab, pop: PopPlan, path: string): Promise<unknown> {
  const curl = ['curl', '-q', '-s', '-f', '-m', '2', `http://${AGENT_ADMIN}${path}`];
  const { code, stdout } = await tryCommand(insideNamespace(lab.namespace(pop.name), curl));
  return code === 0 ? JSON.parse(stdout) : undefined;
}

async function agentStatus(lab: Lab, pop: PopPlan): Promise<AgentStatus | undefined> {
  const status = (await ask(lab, pop, '/status')) as { agent?: AgentStatus | null } | undefined;
  return status?.agent ?? undefined;
}

/** Whether the PoP announces as one that is well, and the routing has heard it. */
async function isAnnounced(lab: Lab, pop: PopPlan): Promise<boolean> {
  const status = (await ask(lab, pop, '/announce')) as AgentAnnounceStatus | undefined;
  return status?.state === 'up' && status.routing.ok;
}

/** Whether the node seals TLS tickets with the mesh's key: one of its own no other node can open. */
async function hasMeshTicketKey(lab: Lab, pop: PopPlan): Promise<boolean> {
  const keys = (await ask(lab, pop, '/mesh/keys')) as { ticketKeyEpoch: number } | undefined;
  return (keys?.ticketKeyEpoch ?? 0) > 0;
}

/** Ends what was started, and what has taken its place. */
async function endAgent(site: Site | undefined, signal: NodeJS.Signals): Promise<void> {
  if (site === undefined) return;
  const pids = [site.agent?.pid, site.upgraded].filter((pid) => pid !== undefined);
  const began = await Promise.all(pids.map(startTicks));
  const patienceMs = signal === 'SIGKILL' ? 0 : STOP_TIMEOUT_MS;
  for (const [index, pid] of pids.entries()) {
    const deadline = performance.now() + patienceMs;
    let next: NodeJS.Signals | undefined = signal;
    while (began[index] !== undefined && (await startTicks(pid)) === began[index]) {
      if (site.agent?.pid === pid && !(await isRunning(site.agent))) break;
      if (performance.now() > deadline) next = 'SIGKILL';
      if (next !== undefined) process.kill(pid, next);
      next = undefined;
      await sleep(20);
    }
  }
  site.agent = undefined;
  site.upgraded = undefined;
}

async function startAgent(lab: Lab, pop: PopPlan, site: Site): Promise<Daemon> {
  const text = stringify(agentConfig(lab, pop, stateOf(lab).key));
  await writeFile(configFile(lab, pop), text, { mode: 0o600 });
  if (isWithin(lab)) await lab.stopServer(pop);
  site.agent = await Daemon.start({
    title: `holdfast ${isWithin(lab) ? 'node' : 'agent'} on ${pop.name}`,
    namespace: lab.namespace(pop.name),
    argv: agentArgv(lab, pop, site, isWithin(lab) ? 'run' : 'agent'),
    logFile: join(lab.directory(pop.name), 'agent.log'),
  });
  return site.agent;
}

/** Whether the node that was started, or its next release, still runs. */
async function isAlive(site: Site): Promise<boolean> {
  if (site.upgraded !== undefined) return (await startTicks(site.upgraded)) !== undefined;
  return site.agent !== undefined && (await isRunning(site.agent));
}

export const agentDriver: HealingDriver = {
  mode: 'on',
  programs: ['unshare', 'curl'],

  async start(lab, pop) {
    countPrograms();
    if (!isWithin(lab)) await lab.startServer(pop);
    const site = await openSite(lab, pop);
    // From the run before: its datapath and its view of the others are as good as new ones.
    const daemons = (await isAlive(site)) ? [] : [await startAgent(lab, pop, site)];
    const others = lab.topology.pops.filter((each) => each !== pop && !lab.crashed.has(each));
    const wanted = others.length + 1;
    const ready = async () => {
      const status = await agentStatus(lab, pop);
      if (status?.state !== 'running') return false;
      if (status.members.alive < wanted || status.homes.nodes < wanted) return false;
      if (isWithin(lab) && lab.tls !== undefined && !(await hasMeshTicketKey(lab, pop)))
        return false;
      return !announces(lab) || (await isAnnounced(lab, pop));
    };
    await waitUntil(ready, {
      complaint: `the agent on ${pop.name} does not see ${wanted} nodes${announces(lab) ? ', or its announcement is not heard' : ''}`,
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 100,
      daemons,
      signal: lab.options.signal,
    });
  },

  async stop(lab, pop) {
    const site = stateOf(lab).sites.get(pop.name);
    if (site === undefined) return;
    await endAgent(site, 'SIGTERM');
    if (await isRunning(site.mounts)) {
      const remove = agentArgv(lab, pop, site, 'agent', '--remove');
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
    const site = lab.crashed.has(pop) ? undefined : stateOf(lab).sites.get(pop.name);
    // Of a node the agent is but a part, and that is another process.
    const pid = isWithin(lab) ? undefined : site?.agent?.pid;
    return pid === undefined ? undefined : costOf(pid);
  },

  async counters(lab, pop): Promise<HealingCounters> {
    const status = lab.crashed.has(pop) ? undefined : await agentStatus(lab, pop);
    if (status === undefined) return { relayedPackets: 0, verdicts: {} };
    const { verdicts } = status;
    // What came in by the uplink and left by the tunnel.
    return { relayedPackets: verdicts.relay_ticket + verdicts.find, verdicts };
  },

  async operate(lab, pop, words) {
    const command = [process.execPath, holdfastProgram(), ...words, '--admin', AGENT_ADMIN];
    const inside = insideNamespace(lab.namespace(pop.name), command);
    const { code, stdout, stderr } = await tryCommand(inside, { timeoutMs: OPERATE_TIMEOUT_MS });
    if (code !== 0 && code !== DEGRADED) {
      const said = stderr.trim();
      const text = `holdfast ${words.join(' ')} on ${pop.name} failed (${code}): ${said}`;
      throw new LabError(text, 'ERR_LAB_COMMAND');
    }
    const site = stateOf(lab).sites.get(pop.name);
    if (words[0] === 'upgrade' && site !== undefined) {
      site.upgraded = (JSON.parse(stdout) as { pid: number }).pid;
    }
    return stdout;
  },
};
