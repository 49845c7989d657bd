/** What the agent does while many connections do nothing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BenchError } from '../../measure/errors.ts';
import { cpuNs } from '../../measure/process-usage.ts';
import type { Sample } from '../../measure/report.ts';
import { MeshGround, PORT, VIPS } from '../mesh-ground.ts';
import { ip, type Namespace } from '../namespace.ts';
import { alternate, type DatapathScenario, type DatapathSize, type Work } from './scenario.ts';

const IDLE = fileURLToPath(new URL('../idle-process.ts', import.meta.url));
const PERCENT_MOST = 1;
const PEERS = 2;
/** Waiting is all that is done: more would only take time. */
const ROUNDS_MOST = 5;
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

/** Opens `flows` connections that do nothing, and waits until the mesh knows them all. */
async function open(
  work: Work,
  ground: MeshGround,
  flows: number,
  children: ChildProcess[],
): Promise<void> {
  const { progress } = work;
  const where = [VIPS.holdfast, `${PORT}`] as const;
  await startIdle(ground.server('holdfast'), children, 'serve', ...where);
  for (let i = 0; i < dialersOf(flows); i++) {
    work.signal.throwIfAborted();
    progress.step(`idle: opening ${flows} connections`);
    const from = `203.0.113.${1 + i}`;
    ground.client.run(() => ip(`address add ${from}/32 dev lo`));
    const count = Math.min(FLOWS_OF_PROCESS, flows - i * FLOWS_OF_PROCESS);
    await startIdle(ground.client, children, 'dial', ...where, from, `${count}`);
    progress.done();
  }
  await settled(work, ground, flows);
}

const roundsOf = ({ rounds }: DatapathSize) => Math.min(rounds, ROUNDS_MOST);

/** Two meshes of the same size stand side by side: one has the connections, the other has none. */
export const idle: DatapathScenario = {
  name: 'idle',
  programs: { ethtool: 'ethtool', ip: 'iproute2', curl: 'curl' },
  steps: (size) => dialersOf(size.idleFlows) + 2 * roundsOf(size),

  async run(work) {
    const { idleFlows, idleMs } = work.size;
    const busy = `${idleFlows} flows`;
    const flowsOf = { 'no flows': 0, [busy]: idleFlows };
    const grounds: Record<string, MeshGround> = {};
    const children: ChildProcess[] = [];
    try {
      work.progress.step('idle: starting two meshes');
      const started = Object.keys(flowsOf).map(async (name) => {
        const directory = join(work.directory, name.replace(' ', '-'));
        await mkdir(directory);
        const room = Math.ceil(1.25 * idleFlows);
        grounds[name] = await MeshGround.create({ ...work, directory }, PEERS, room);
      });
      // Whatever has started is there to be stopped before an error is told.
      await Promise.allSettled(started);
      await Promise.all(started);
      await open(work, grounds[busy]!, idleFlows, children);
      const inTurn = { ...work, size: { ...work.size, rounds: roundsOf(work.size) } };
      const contenders = await alternate(inTurn, 'idle', Object.keys(flowsOf), (name) =>
        measure(work, grounds[name]!, flowsOf[name]!),
      );
      return [
        {
          name: 'idle',
          about: `processor time of an agent with ${PEERS} peers, over ${idleMs / 1_000} s each; served: connections, in all rounds`,
          unit: '% of a core',
          bases: ['no flows'],
          targets: [{ contender: busy, base: null, atMost: PERCENT_MOST }],
          contenders,
          absent: [],
        },
      ];
    } finally {
      for (const child of children) child.kill('SIGKILL');
      const all = Object.values(grounds);
      const agents = all.flatMap((ground) => [ground.agent, ...ground.peers]);
      await Promise.all(agents.map((agent) => agent.stop()));
      for (const ground of all) ground.close();
    }
  },
};
