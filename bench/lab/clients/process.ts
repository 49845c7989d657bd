/** Client programs of ours: started in the client namespace, they report by JSON lines. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { monotonicMs } from '../clock.ts';
import { labEnvironment } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import { scriptPath } from '../scripts.ts';
import type { ClientContext, ClientRun } from './client.ts';
import { parseEvent } from './event.ts';

const STDERR_CHARS_MAX = 20_000;

/**
 * Starts `script` with `plan` as its only argument. Sessions that it does not account for when it
 * ends count as reset.
 */
export function startClientProcess(
  context: ClientContext,
  sessions: readonly string[],
  script: `./${string}.ts`,
  plan: unknown,
): Required<ClientRun> {
  context.expect(sessions);
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
  return {
    finished: promise,
    stop: () => child.kill('SIGKILL'),
    speak: () => child.stdin.write('speak\n'),
  };
}
