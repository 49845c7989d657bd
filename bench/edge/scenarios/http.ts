/** Requests on kept connections: small answers and large ones. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sample, Target } from '../../measure/report.ts';
import { runWrk } from '../load/wrk.ts';
import { wrkScript } from '../load/wrk-script.ts';
import { prepareHttpOrigin } from '../origins/http-origin.ts';
import type { RunningContender, Stage } from '../stage.ts';
import type { Scenario } from './scenario.ts';

interface HttpFacts {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  readonly path: string;
  readonly connections: number;
  /** As how many one request counts where their number is limited. */
  readonly weight: number;
  readonly bases: readonly string[];
  readonly targets: readonly Target[];
  /** What the CPU time is divided by. */
  readonly units: (counts: { requests: number; bytes: number }) => number;
}

function httpScenario(facts: HttpFacts): Scenario {
  const { name, about, unit, bases, targets } = facts;
  const load = async (stage: Stage, port: number, seconds: number) => {
    const script = join(stage.directory, 'wrk.lua');
    const { requestsMax } = stage.size;
    const limit = requestsMax === undefined ? undefined : Math.ceil(requestsMax / facts.weight);
    await writeFile(script, wrkScript(limit));
    return await runWrk(stage.processes, {
      url: `http://127.0.0.1:${port}${facts.path}`,
      connections: facts.connections,
      seconds,
      script,
      cpus: stage.cpus?.load,
    });
  };
  return {
    name,
    about,
    unit,
    tunnels: false,
    fresh: false,
    bases,
    targets,
    tunnelsMax: () => 0,
    origin: prepareHttpOrigin,
    async warmUp(stage, { port }) {
      await load(stage, port, stage.size.warmUpSeconds);
    },
    async measure(stage: Stage, running: RunningContender): Promise<Sample> {
      const startedMs = performance.now();
      const [micros, counts] = await stage.cpuDuring(running, () =>
        load(stage, running.port, stage.size.seconds),
      );
      const seconds = (performance.now() - startedMs) / 1_000;
      return {
        value: micros / Math.max(1, facts.units(counts)),
        served: counts.requests - counts.failed,
        failed: counts.failed,
        perSecond: counts.requests / seconds,
        busyShare: micros / 1_000_000 / seconds,
      };
    },
  };
}

export const smallAnswers: Scenario = httpScenario({
  name: 'http-1k',
  about: 'GET of 1 kB on 50 kept connections',
  unit: 'µs CPU/request',
  path: '/small',
  connections: 50,
  weight: 1,
  bases: ['nginx', 'http-proxy'],
  targets: [
    { contender: 'holdfast', base: 'nginx', atMost: 2.3 },
    { contender: 'holdfast', base: 'http-proxy', atMost: 0.65 },
  ],
  units: ({ requests }) => requests,
});

/** Bytes are counted, not requests: those that the end of the time cuts have cost CPU too. */
export const largeAnswers: Scenario = httpScenario({
  name: 'body-10m',
  about: 'GET of 10 MiB on 8 kept connections',
  unit: 'µs CPU/MiB',
  path: '/large',
  connections: 8,
  weight: 100,
  bases: ['nginx', 'http-proxy'],
  targets: [],
  units: ({ bytes }) => bytes / 1_048_576,
});
