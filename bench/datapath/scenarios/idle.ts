/** What the agent does while many connections do nothing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../../measure/errors.ts';
import { cpuNs } from '../../measure/process-usage.ts';
import type { Sample } from '../../measure/report.ts';
import { MeshGround, PORT, VIPS } from '../mesh-ground.ts';
import { ip, type Namespace } from '../namespace.ts';
import type { DatapathScenario, Work } from './scenario.ts';

const IDLE = fileURLToPath(new URL('../idle-process.ts', import.meta.url));
const PERCENT_MOST = 1;
const PEERS = 2;
/** Below the usual limit of open files, and of ports. */
const FLOWS_OF_PROCESS = 15_000;
const SETTLE_MS = 60_000;
/** After the last ticket is kept. */
const QUIET_MS = 3_000;

const dialersOf = (flows: number) => Math.ceil(flows / FLOWS_OF_PROCESS);

async function startIdle(
  namespace: Namespace,
  children: ChildProcess[],
  ...words: string[]
): Promise<void> {
  const child = namespace.run(() =>
    spawn(process.execPath, [IDLE, ...words], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
  );
  children.push(child);
  const ended = once(child, 'exit').then(() => 'ended');
  if ((await Promise.race([once(child, 'message'), ended])) === 'ended') {
    throw new BenchError('the idle connections could not be opened', 'ERR_BENCH_LOAD');
  }
}

/** Per cent of one core, over the whole time. */
async function measure(work: Work, ground: MeshGround, flows: number): Promise<Sample> {
  const { idleMs } = work.size;
  const before = cpuNs(ground.agent.pid);
  const startedMs = performance.now();
  for (let left = idleMs; left > 0; left -= 1_000) {
    work.signal.throwIfAborted();
    await sleep(Math.min(left, 1_000));
  }
  const elapsedNs = (performance.now() - startedMs) * 1e6;
  const share = (cpuNs(ground.agent.pid) - before) / elapsedNs;
  return { value: 100 * share, served: flows, failed: 0 };
}

/** Waits until all flows are known to the mesh and their homes have them. */
async function settled(work: Work, ground: MeshGround, flows: number): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS;
  for (;;) {
    work.signal.throwIfAborted();
    const owned = ground.status()?.tickets.owned ?? 0;
    const kept = ground.nodes.slice(1).map((node) => ground.status(node)?.tickets.kept ?? 0);
    if (owned >= flows && kept.every((count) => count >= flows)) break;
    if (performance.now() > untilMs) {
      const text = `${owned} of ${flows} flows have tickets, peers keep ${kept.join(', ')}`;
      throw new BenchError(text, 'ERR_BENCH_LOAD');
    }
    await sleep(500);
  }
  await sleep(QUIET_MS);
}

export const idle: DatapathScenario = {
  name: 'idle',
  programs: { ethtool: 'ethtool', ip: 'iproute2', curl: 'curl' },
  steps: ({ idleFlows }) => 2 + dialersOf(idleFlows),

  async run(work) {
    const { idleFlows } = work.size;
    const { progress } = work;
    const ground = await MeshGround.create(work, PEERS, Math.ceil(1.25 * idleFlows));
    const children: ChildProcess[] = [];
    try {
      progress.step('idle: the agent alone with its peers');
      await sleep(QUIET_MS);
      const without = await measure(work, ground, 0);
      progress.done();
      const where = [VIPS.holdfast, `${PORT}`] as const;
      await startIdle(ground.server('holdfast'), children, 'serve', ...where);
      const dialers = dialersOf(idleFlows);
      for (let i = 0; i < dialers; i++) {
        work.signal.throwIfAborted();
        progress.step(`idle: opening ${idleFlows} connections`);
        const from = `203.0.113.${1 + i}`;
        ground.client.run(() => ip(`address add ${from}/32 dev lo`));
        const count = Math.min(FLOWS_OF_PROCESS, idleFlows - i * FLOWS_OF_PROCESS);
        await startIdle(ground.client, children, 'dial', ...where, from, `${count}`);
        progress.done();
      }
      progress.step(`idle: ${idleFlows} connections do nothing`);
      await settled(work, ground, idleFlows);
      const full = await measure(work, ground, idleFlows);
      progress.done();
      const name = `${idleFlows} flows`;
      return [
        {
          name: 'idle',
          about: `processor time of the agent with ${PEERS} peers, over ${work.size.idleMs / 1_000} s`,
          unit: '% of a core',
          bases: [],
          targets: [{ contender: name, base: null, atMost: PERCENT_MOST }],
          contenders: [
            { name: 'no flows', samples: [without] },
            { name, samples: [full] },
          ],
          absent: [],
        },
      ];
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all([ground.agent, ...ground.peers].map((agent) => agent.stop()));
      ground.close();
    }
  },
};
