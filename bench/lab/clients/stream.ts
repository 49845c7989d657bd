/** Stream clients: one process for all sessions of a kind, in the client namespace. */
import { type ClientDriver, portions, sessionNames, together } from './client.ts';
import type { SessionKind } from './event.ts';
import { startClientProcess } from './process.ts';
import { messageCount, type StreamPlan } from './stream-plan.ts';

/** As large as a chat message or a price tick. */
const MESSAGE_BYTES = 128;
/** In one process. */
const SESSIONS_MAX = 500;

const streamDriver = (kind: SessionKind, script: `./${string}.ts`): ClientDriver => ({
  kind,
  async start(context, sessions) {
    const runs = portions(sessionNames(kind, sessions), SESSIONS_MAX).map((names) => {
      const plan: StreamPlan = {
        baseUrl: context.baseUrl,
        sessions: names,
        seed: context.seed,
        count: messageCount(context.durationMs, context.everyMs),
        everyMs: context.everyMs,
        messageBytes: MESSAGE_BYTES,
        stallMs: context.stallMs,
      };
      const { finished, stop } = startClientProcess(context, names, script, plan);
      return { finished, stop };
    });
    return together(runs);
  },
});

/** WebSocket echo streams: the gaps between their echoes are what users feel. */
export const websockets = streamDriver('websocket', './clients/websocket-process.ts');

/** Questions and answers over one connection each. */
export const keepalives = streamDriver('keepalive', './clients/keepalive-process.ts');

/** Server-sent events: traffic towards the client only. */
export const events = streamDriver('sse', './clients/sse-process.ts');
