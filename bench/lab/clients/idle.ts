import { type ClientDriver, sessionNames } from './client.ts';
import { startClientProcess } from './process.ts';

/** What the process of the silent sessions is told. Names follow from the number. */
export interface IdlePlan {
  readonly host: string;
  readonly port: number;
  readonly sessions: number;
  readonly seed: number;
  /** Longest wait for the answer. */
  readonly stallMs: number;
}

/** WebSockets that are silent, as most are most of the time. */
export const idles: ClientDriver = {
  kind: 'idle',
  async start(context, sessions) {
    const { host, port, seed, stallMs } = context;
    const plan: IdlePlan = { host, port, sessions, seed, stallMs };
    const script = './clients/idle-process.ts';
    return startClientProcess(context, sessionNames('idle', sessions), script, plan);
  },
};
