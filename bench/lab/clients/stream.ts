/** Stream clients: one process for all sessions of a kind, in the client namespace. */
import { type ClientDriver, sessionNames } from './client.ts';
import type { SessionKind } from './event.ts';
import { startClientProcess } from './process.ts';
import { messageCount, type StreamPlan } from './stream-plan.ts';

/** As large as a chat message or a price tick. */
const MESSAGE_BYTES = 128;

const streamDriver = (kind: SessionKind, script: `./${string}.ts`): ClientDriver => ({
  kind,
  async start(context, sessions) {
    const names = sessionNames(kind, sessions);
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
  },
});

/** WebSocket echo streams: the gaps between their echoes are what users feel. */
export const websockets = streamDriver('websocket', './clients/websocket-process.ts');

/** Server-sent events: traffic towards the client only. */
export const events = streamDriver('sse', './clients/sse-process.ts');
