/** The program that makes tunnels, seen from the benchmark. */
import { BenchError } from '../../measure/errors.ts';
import type { BenchProcess, BenchProcesses } from '../../measure/processes.ts';
import { scriptPath } from '../script-path.ts';
import type { TunnelOrder, TunnelReport } from './tunnel-messages.ts';

/** Opening ten thousand through a slow proxy takes a while. */
const REPORT_MS = 120_000;

export class TunnelLoad {
  readonly #process: BenchProcess;

  constructor(processes: BenchProcesses, port: number, cpus: string | undefined) {
    this.#process = processes.start({
      name: 'the load of tunnels',
      argv: [process.execPath, scriptPath('./load/tunnel-client.ts'), String(port)],
      cpus,
      ipc: true,
    });
  }

  /** @throws BenchError `ERR_BENCH_LOAD` when a tunnel could not be opened. */
  async open(tunnels: number): Promise<void> {
    const report = await this.#order({ type: 'open', tunnels });
    if (report.type === 'opened' && report.failed === 0 && report.tunnels === tunnels) return;
    const opened = report.type === 'opened' ? report.tunnels : 0;
    throw new BenchError(`only ${opened} of ${tunnels} tunnels opened`, 'ERR_BENCH_LOAD');
  }

  async echo(ms: number, messages: number): Promise<TunnelReport & { type: 'echoed' }> {
    const report = await this.#order({ type: 'echo', ms, messages });
    if (report.type === 'echoed') return report;
    throw new BenchError('the load gave a wrong report', 'ERR_BENCH_LOAD');
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  async #order(order: TunnelOrder): Promise<TunnelReport> {
    const { child } = this.#process;
    const { promise, resolve, reject } = Promise.withResolvers<TunnelReport>();
    const onReport = (report: unknown) => resolve(report as TunnelReport);
    const late = () => reject(new BenchError('the load of tunnels is stuck', 'ERR_BENCH_LOAD'));
    const timer = setTimeout(late, REPORT_MS);
    child.once('message', onReport);
    void this.#process.exited.then(() => reject(this.#process.failure()));
    try {
      if (child.connected) child.send(order);
      return await promise;
    } finally {
      clearTimeout(timer);
      child.removeListener('message', onReport);
    }
  }
}
