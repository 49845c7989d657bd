/** Clients whose connections are short: what matters is that new ones succeed. */
import { type ClientDriver, sessionNames } from './client.ts';
import type { ConnectionPlan } from './connection-plan.ts';
import type { SessionKind } from './event.ts';
import { startClientProcess } from './process.ts';

type Manner = Pick<ConnectionPlan, 'count' | 'everyMs' | 'pauseMs' | 'timeoutMs' | 'firstPort'>;

const connectionDriver = (kind: SessionKind, manner: Manner): ClientDriver => ({
  kind,
  async start(context, sessions) {
    const names = sessionNames(kind, sessions);
    const { baseUrl, seed, durationMs } = context;
    const plan: ConnectionPlan = { baseUrl, sessions: names, seed, durationMs, ...manner };
    const script = './clients/connection-process.ts';
    const { finished, stop } = startClientProcess(context, names, script, plan);
    return { finished, stop };
  },
});

/** A new connection every 50 ms, one message each. */
export const connects = connectionDriver('connect', {
  count: 1,
  everyMs: 20,
  pauseMs: 50,
  timeoutMs: 4_000,
});

/** Connections of about 3 s, one event each 100 ms. */
export const visits = connectionDriver('visit', {
  count: 30,
  everyMs: 100,
  pauseMs: 20,
  timeoutMs: 20_000,
});

/** Below the ports that the kernel gives out by itself. */
const FIRST_PORT = 20_000;

/** Connections of about 300 ms, each from the port of the one before. */
export const reuses = connectionDriver('reuse', {
  count: 15,
  everyMs: 20,
  pauseMs: 5,
  timeoutMs: 8_000,
  firstPort: FIRST_PORT,
});
