/** HTTP load: wrk, one thread, a fixed number of connections, for a fixed time. */
import { BenchError } from '../../measure/errors.ts';
import { requireProgram } from '../../measure/machine.ts';
import type { BenchProcesses } from '../../measure/processes.ts';
import { parseWrkCounts, type WrkCounts } from './wrk-script.ts';

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  /** Whole seconds: wrk knows no others. */
  readonly seconds: number;
  /** Path of the script from `wrkScript`. */
  readonly script: string;
  readonly cpus: string | undefined;
  /** Besides those of a browser: `Name: value`. */
  readonly headers?: readonly string[];
}

/** @throws BenchError `ERR_BENCH_LOAD` when wrk fails. */
export async function runWrk(processes: BenchProcesses, options: WrkOptions): Promise<WrkCounts> {
  const { url, connections, seconds, script, cpus, headers = [] } = options;
  const wrk = processes.start({
    name: 'wrk',
    argv: [
      requireProgram('wrk', 'wrk'),
      ...['--threads', '1', '--connections', String(connections)],
      ...['--duration', `${seconds}s`, '--timeout', '10s', '--script', script],
      ...['--header', 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101'],
      ...['--header', 'Accept: text/html,application/xhtml+xml', '--header', 'Accept-Language: en'],
      ...headers.flatMap((header) => ['--header', header]),
      url,
    ],
    cpus,
  });
  await wrk.exited;
  const counts = parseWrkCounts(wrk.stdout);
  if (counts !== undefined) return counts;
  throw new BenchError('wrk did not finish', 'ERR_BENCH_LOAD', wrk.failure());
}
