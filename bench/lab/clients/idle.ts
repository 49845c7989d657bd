import { type ClientDriver, portions, sessionNames, together } from './client.ts';
import { startClientProcess } from './process.ts';

/** What the process of the silent sessions is told. Names follow from the numbers. */
export interface IdlePlan {
  readonly host: string;
  readonly port: number;
  /** Number of the first, and how many. */
  readonly first: number;
  readonly sessions: number;
  readonly seed: number;
  /** Longest wait for the answer. */
  readonly stallMs: number;
}

/** In one process: well below the open files that it may have. */
const SESSIONS_MAX = 10_000;

/** WebSockets that are silent, as most are most of the time. */
export const idles: ClientDriver = {
  kind: 'idle',
  async start(context, sessions) {
    const { host, port, seed, stallMs } = context;
    const script = './clients/idle-process.ts';
    let first = 1;
    const runs = portions(sessionNames('idle', sessions), SESSIONS_MAX).map((names) => {
      const plan: IdlePlan = { host, port, first, sessions: names.length, seed, stallMs };
      first += names.length;
      return startClientProcess(context, names, script, plan);
    });
    return together(runs);
  },
};
