/** Where a scenario runs: its directory, its CPUs, its origin, its contenders. */
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { CpuShares } from '../measure/cpu-list.ts';
import { BenchError } from '../measure/errors.ts';
import { cpuMicros } from '../measure/process-usage.ts';
import type { BenchProcess, BenchProcesses } from '../measure/processes.ts';
import type { TunnelLoad } from './load/tunnels.ts';
import type { BenchSize, Scenario } from './scenarios/scenario.ts';
import type { Contender } from './site.ts';

export interface RunningContender {
  readonly contender: Contender;
  readonly process: BenchProcess;
  readonly port: number;
  /** Kept from one measurement to the next, where a scenario has one. */
  load?: TunnelLoad;
}

export class Stage {
  readonly processes: BenchProcesses;
  readonly directory: string;
  readonly cpus: CpuShares | undefined;
  readonly size: BenchSize;
  readonly #scenario: Scenario;
  #originPort = 0;
  #started = 0;

  constructor(facts: {
    processes: BenchProcesses;
    directory: string;
    cpus: CpuShares | undefined;
    size: BenchSize;
    scenario: Scenario;
  }) {
    this.processes = facts.processes;
    this.directory = facts.directory;
    this.cpus = facts.cpus;
    this.size = facts.size;
    this.#scenario = facts.scenario;
  }

  async startOrigin(): Promise<BenchProcess> {
    const directory = join(this.directory, 'origin');
    await mkdir(directory);
    this.#originPort = await freePort();
    const argv = await this.#scenario.origin(directory, this.#originPort);
    return await this.processes.startServer({
      name: 'the origin',
      argv,
      port: this.#originPort,
      cpus: this.cpus?.load,
    });
  }

  async start(contender: Contender): Promise<RunningContender> {
    this.#started += 1;
    const directory = join(this.directory, `${contender.name}-${this.#started}`);
    await mkdir(directory);
    const port = await freePort();
    const tunnels = this.#scenario.tunnelsMax(this.size);
    const launch = contender.launch({ directory, port, originPort: this.#originPort, tunnels });
    for (const [name, text] of Object.entries(launch.files)) {
      await writeFile(join(directory, name), text);
    }
    const started = await this.processes.startServer({
      name: contender.name,
      argv: launch.argv,
      port,
      cpus: this.cpus?.measured,
      stdoutFile: launch.stdoutFile,
    });
    return { contender, process: started, port };
  }

  async stop(running: RunningContender): Promise<void> {
    await running.load?.stop();
    await running.process.stop();
  }

  /**
   * CPU time that the contender, with its children, used while `work` ran; microseconds.
   * @throws BenchError `ERR_BENCH_PROCESS` when it has ended meanwhile.
   */
  async cpuDuring<T>(running: RunningContender, work: () => Promise<T>): Promise<[number, T]> {
    const before = cpuMicros(running.process.pid);
    const result = await work();
    const used = cpuMicros(running.process.pid) - before;
    if (running.process.ended || used < 0) throw running.process.failure();
    return [used, result];
  }
}

/** A port of 127.0.0.1 on which nobody listens now. */
async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  await new Promise<void>((done) => server.close(() => done()));
  if (address === null || typeof address === 'string') {
    throw new BenchError('no free port on 127.0.0.1', 'ERR_BENCH_PROCESS');
  }
  return address.port;
}
