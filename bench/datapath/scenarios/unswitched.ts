/**
 * What healing costs traffic that is where it belongs: nginx with and without our programs on its
 * device and an agent beside it, whose tickets go to its peers.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nginxArgv, nginxFrame } from '../../edge/contenders/nginx.ts';
import { runWrk } from '../../edge/load/wrk.ts';
import { wrkScript } from '../../edge/load/wrk-script.ts';
import { BenchError } from '../../measure/errors.ts';
import { cpuNs } from '../../measure/process-usage.ts';
import type { BenchProcess } from '../../measure/processes.ts';
import type { Sample } from '../../measure/report.ts';
import { MeshGround, PORT, type Side, VIPS } from '../mesh-ground.ts';
import { sh } from '../namespace.ts';
import { alternate, type DatapathScenario, type Work } from './scenario.ts';

const NAMES: readonly Side[] = ['holdfast', 'plain'];
const CONNECTIONS = 50;
const FLOWS = 262_144;
const PEERS = 1;
const SETTLE_MS = 100;

async function startNginx(work: Work, ground: MeshGround, side: Side): Promise<BenchProcess> {
  const folder = join(work.directory, `nginx-${side}`);
  await mkdir(folder, { recursive: true });
  const answer = `  access_log off;
  server {
    listen ${VIPS[side]}:${PORT} backlog=4096;
    location / { return 200 "${'x'.repeat(1_024)}"; }
  }
`;
  await writeFile(join(folder, 'nginx.conf'), nginxFrame(folder, 4_096, answer));
  const { processes, cpus } = work;
  const server = ground.server(side).run(() =>
    processes.start({
      name: `nginx ${side}`,
      argv: nginxArgv(folder),
      cpus: cpus?.measured,
    }),
  );
  const url = `http://${VIPS[side]}:${PORT}/`;
  for (let turn = 0; turn < 100; turn++) {
    if (server.ended) throw server.failure();
    try {
      ground.client.run(() => sh(`curl -s -f -m 2 -o /dev/null ${url}`));
      return server;
    } catch {
      await sleep(50);
    }
  }
  throw new BenchError(`nginx does not answer at ${url}`, 'ERR_BENCH_PROCESS');
}

function scenario(
  name: string,
  about: string,
  headers: readonly string[],
  share: number,
): DatapathScenario {
  return {
    name,
    programs: {
      nginx: 'nginx-light',
      wrk: 'wrk',
      ethtool: 'ethtool',
      ip: 'iproute2',
      curl: 'curl',
    },
    steps: ({ rounds }) => 1 + 2 * rounds,

    async run(work) {
      const { size, processes, cpus } = work;
      const script = join(work.directory, 'wrk.lua');
      await writeFile(script, wrkScript(size.requestsMax));
      const ground = await MeshGround.create(work, PEERS, FLOWS);
      const servers = {} as Record<Side, BenchProcess>;
      const cpu = (side: Side) => cpuNs(servers[side].pid) + cpuNs(ground.receiver(side));
      const withAgent: Sample[] = [];
      try {
        for (const side of NAMES) servers[side] = await startNginx(work, ground, side);
        const load = (side: Side, seconds: number) =>
          ground.client.run(() =>
            runWrk(processes, {
              url: `http://${VIPS[side]}:${PORT}/`,
              connections: CONNECTIONS,
              seconds,
              script,
              cpus: cpus?.load,
              headers,
            }),
          );
        work.progress.step(`${name}, warming up`);
        for (const side of NAMES) await load(side, size.warmUpSeconds);
        work.progress.done();
        const contenders = await alternate(work, name, NAMES, async (side): Promise<Sample> => {
          const before = cpu(side);
          const agentBefore = cpuNs(ground.agent.pid);
          const counts = await load(side, size.seconds);
          // The agent still has the last tickets to send.
          await sleep(SETTLE_MS);
          const micros = (cpu(side) - before) / 1_000;
          const sampleOf = (used: number): Sample => ({
            value: used / counts.requests,
            served: counts.requests,
            failed: counts.failed,
            // Cut short, wrk knows no time.
            ...(counts.micros > 0
              ? {
                  busyShare: used / counts.micros,
                  perSecond: (counts.requests / counts.micros) * 1e6,
                }
              : {}),
          });
          if (side === 'holdfast') {
            const agent = (cpuNs(ground.agent.pid) - agentBefore) / 1_000;
            withAgent.push(sampleOf(micros + agent));
          }
          return sampleOf(micros);
        });
        const atMost = Math.round(1_000 / share) / 1_000;
        return [
          {
            name,
            about,
            unit: 'µs CPU/request',
            bases: ['plain'],
            targets: [{ contender: 'holdfast', base: 'plain', atMost }],
            contenders: [...contenders, { name: 'holdfast + agent', samples: withAgent }],
            absent: [],
          },
        ];
      } finally {
        await Promise.all(Object.values(servers).map((server) => server.stop()));
        await Promise.all([ground.agent, ...ground.peers].map((agent) => agent.stop()));
        ground.close();
      }
    },
  };
}

const parts = 'processor time of nginx and of receiving';

export const keepAlive = scenario(
  'keep-alive',
  `nginx on the VIP, 50 kept connections, 1 kB; ${parts}`,
  [],
  0.98,
);
export const perRequest = scenario(
  'per-request',
  `nginx on the VIP, a connection for each request, 1 kB; ${parts}`,
  ['Connection: close'],
  0.96,
);
