/** Clients that have patience with nothing: a lost connection is replaced at once. */
import { type ClientDriver, sessionNames } from './client.ts';
import { startClientProcess } from './process.ts';
import type { ReconnectPlan } from './reconnect-plan.ts';

const CONNECT_TIMEOUT_MS = 1_000;
const RETRY_MS = 20;

export const reconnects: ClientDriver = {
  kind: 'reconnect',
  async start(context, sessions) {
    const names = sessionNames('reconnect', sessions);
    const { baseUrl, tls, seed, durationMs, everyMs, stallMs } = context;
    const plan: ReconnectPlan = {
      baseUrl: tls?.baseUrl ?? baseUrl,
      certificateFile: tls?.certificateFile,
      sessions: names,
      seed,
      durationMs,
      everyMs,
      answerTimeoutMs: stallMs,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      retryMs: RETRY_MS,
    };
    const script = './clients/reconnect-process.ts';
    const { finished, stop } = startClientProcess(context, names, script, plan);
    return { finished, stop };
  },
};
