/** WebSockets: what a message costs, and what an idle one holds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeMachine } from '../../measure/machine.ts';
import { residentBytes } from '../../measure/process-usage.ts';
import type { Sample } from '../../measure/report.ts';
import { TunnelLoad } from '../load/tunnels.ts';
import { scriptPath } from '../script-path.ts';
import type { RunningContender } from '../stage.ts';
import type { BenchSize, Scenario } from './scenario.ts';

const MESSAGE_TUNNELS = 200;
/** Opened before memory is first read, so that what is made once is not counted. */
const FIRST_TUNNELS_SHARE = 0.05;
/** Two sockets for each tunnel, and some for everything else. */
const OTHER_FILES = 1_000;
const SETTLE_STEP_MS = 250;
const SETTLE_STEPS_MAX = 24;
const SETTLE_BYTES = 131_072;

const echoOrigin = async (_directory: string, port: number) => [
  process.execPath,
  scriptPath('./origins/echo-origin.ts'),
  String(port),
];

export const tunnelMessages: Scenario = {
  name: 'ws-64',
  about: `WebSocket messages of 64 bytes, echoed, on ${MESSAGE_TUNNELS} tunnels`,
  unit: 'µs CPU/message',
  tunnels: true,
  fresh: false,
  bases: ['nginx'],
  targets: [{ contender: 'holdfast', base: 'nginx', atMost: 1.7 }],
  tunnelsMax: () => MESSAGE_TUNNELS,
  origin: echoOrigin,
  async warmUp(stage, running) {
    running.load = new TunnelLoad(stage.processes, running.port, stage.cpus?.load);
    const { warmUpSeconds, requestsMax } = stage.size;
    await running.load.open(MESSAGE_TUNNELS);
    await running.load.echo(warmUpSeconds * 1_000, requestsMax ?? Number.MAX_SAFE_INTEGER);
  },
  async measure(stage, running): Promise<Sample> {
    const { seconds, requestsMax } = stage.size;
    const load = running.load as TunnelLoad;
    const [micros, report] = await stage.cpuDuring(running, () =>
      load.echo(seconds * 1_000, requestsMax ?? Number.MAX_SAFE_INTEGER),
    );
    // There and back: two messages carried for each echo.
    const messages = 2 * report.messages;
    return {
      value: micros / Math.max(1, messages),
      served: messages,
      failed: report.failed,
      perSecond: messages / (report.ms / 1_000),
      busyShare: micros / 1_000 / report.ms,
    };
  },
};

/** How many tunnels the limit of open files allows, of those wanted. */
export function idleTunnelsMax(wanted: number, openFilesMax: number): number {
  return Math.max(1, Math.min(wanted, Math.floor((openFilesMax - OTHER_FILES) / 2)));
}

export const idleTunnels: Scenario = {
  name: 'ws-idle',
  about: 'idle WebSockets, each after one message both ways; growth of resident memory',
  unit: 'bytes/tunnel',
  tunnels: true,
  fresh: true,
  bases: ['nginx'],
  targets: [{ contender: 'holdfast', base: null, atMost: 10_000 }],
  tunnelsMax: (size: BenchSize) => idleTunnelsMax(size.idleTunnels, describeMachine().openFilesMax),
  origin: echoOrigin,
  async warmUp() {},
  async measure(stage, running): Promise<Sample> {
    const all = this.tunnelsMax(stage.size);
    const first = Math.ceil(all * FIRST_TUNNELS_SHARE);
    const load = new TunnelLoad(stage.processes, running.port, stage.cpus?.load);
    try {
      await load.open(first);
      const before = await settledBytes(running);
      await load.open(all);
      const after = await settledBytes(running);
      return { value: (after - before) / (all - first), served: all, failed: 0 };
    } finally {
      await load.stop();
    }
  },
};

/** Memory once it has stopped to change, or after six seconds. */
async function settledBytes({ process }: RunningContender): Promise<number> {
  let last = residentBytes(process.pid);
  let quietSteps = 0;
  for (let step = 0; step < SETTLE_STEPS_MAX && quietSteps < 4; step += 1) {
    await sleep(SETTLE_STEP_MS);
    const now = residentBytes(process.pid);
    quietSteps = Math.abs(now - last) <= SETTLE_BYTES ? quietSteps + 1 : 0;
    last = now;
  }
  if (process.ended) throw process.failure();
  return last;
}
