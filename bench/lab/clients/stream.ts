/** Stream clients: one process for all sessions of a kind, in the client namespace. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { monotonicMs } from '../clock.ts';
import { labEnvironment } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import { scriptPath } from '../scripts.ts';
import { type ClientContext, type ClientDriver, type ClientRun, sessionNames } from './client.ts';
import { parseEvent, type SessionKind } from './event.ts';
import { messageCount, type StreamPlan } from './stream-plan.ts';

/** As large as a chat message or a price tick. */
const MESSAGE_BYTES = 128;
const STDERR_CHARS_MAX = 20_000;

const streamDriver = (kind: SessionKind, script: `./${string}.ts`): ClientDriver => ({
  kind,
  start: async (context, sessions) => start(context, sessionNames(kind, sessions), script),
});

/** WebSocket echo streams: the gaps between their echoes are what users feel. */
export const websockets = streamDriver('websocket', './clients/websocket-process.ts');

/** Server-sent events: traffic towards the client only. */
export const events = streamDriver('sse', './clients/sse-process.ts');

function start(
  context: ClientContext,
  sessions: readonly string[],
  script: `./${string}.ts`,
): ClientRun {
  context.expect(sessions);
  const plan: StreamPlan = {
    baseUrl: context.baseUrl,
    sessions,
    seed: context.seed,
    count: messageCount(context.durationMs, context.everyMs),
    everyMs: context.everyMs,
    messageBytes: MESSAGE_BYTES,
    stallMs: context.stallMs,
  };
  const argv = [process.execPath, scriptPath(script), JSON.stringify(plan)];
  const [program = '', ...args] = insideNamespace(context.namespace, argv);
  // Standard input stays open: it ends when the lab dies, and so do the clients.
  // Detached: Ctrl-C belongs to the lab, which ends its clients in order.
  const child = spawn(program, args, { stdio: 'pipe', env: labEnvironment(), detached: true });
  child.stdin.on('error', () => {});
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
  });
  const open = new Set(sessions);
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => {
    const event = parseEvent(line);
    if (event === undefined) return;
    if (event.type === 'end') open.delete(event.session);
    context.report(event);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  child.on('error', (error) => {
    stderr = error.message;
  });
  child.on('close', (code, signal) => {
    // A session that the process could not account for has not survived.
    const detail = `the client ended (${signal ?? code}): ${stderr.trim().slice(-200)}`;
    for (const session of open) {
      context.report({ type: 'end', session, atMs: monotonicMs(), how: 'reset', detail });
    }
    resolve();
  });
  return { finished: promise, stop: () => child.kill('SIGKILL') };
}
