/** One curl, watched from its start to its end. */
import { spawn } from 'node:child_process';
import { monotonicMs } from '../clock.ts';
import { labEnvironment } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import type { Content } from '../origin/files.ts';
import { type ClientContext, type ClientRun, sessionNames, together } from './client.ts';
import { curlArgv, curlEnd } from './curl.ts';
import type { SessionKind } from './event.ts';

const STDERR_CHARS_MAX = 20_000;

/** Hundreds of programs cannot begin at once: connections would time out before they are made. */
const AT_ONCE = 20;
const EACH_LATER_MS = 40;

/** What differs between a download and an upload. */
export interface Transfer {
  readonly path: string;
  readonly extra: readonly string[];
  /** Given what curl writes to standard output. */
  output(chunk: Buffer): void;
  /** Bytes carried so far, given the end of what curl said on standard error. */
  done(stderr: string): number;
  /** SHA-256 of what arrived, asked once curl has ended. */
  sha256(): string;
}

/** Starts one transfer per session; contents are shared when there are more sessions than contents. */
export function startTransfers(
  context: ClientContext,
  kind: SessionKind,
  sessions: number,
  contents: readonly Content[],
  transfer: (session: string, content: Content) => Transfer,
): ClientRun {
  const names = sessionNames(kind, sessions);
  context.expect(names);
  const runs = names.map((name, index) => {
    const content = contents[index % contents.length]!;
    const start = () => startCurl(context, name, content, transfer(name, content));
    return index < AT_ONCE ? start() : startLater(start, (index - AT_ONCE) * EACH_LATER_MS);
  });
  return together(runs);
}

function startLater(start: () => ClientRun, delayMs: number): ClientRun {
  const { promise, resolve } = Promise.withResolvers<void>();
  let run: ClientRun | undefined;
  const timer = setTimeout(() => {
    run = start();
    run.finished.then(resolve);
  }, delayMs);
  return {
    finished: promise,
    stop: () => {
      clearTimeout(timer);
      if (run === undefined) resolve();
      else run.stop();
    },
  };
}

function startCurl(context: ClientContext, session: string, content: Content, transfer: Transfer) {
  const argv = curlArgv({
    url: `${context.baseUrl}${transfer.path}`,
    stallMs: context.stallMs,
    extra: transfer.extra,
  });
  const [program = '', ...args] = insideNamespace(context.namespace, argv);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: labEnvironment(),
    // Ctrl-C belongs to the lab, which ends its clients in order.
    detached: true,
  });
  let stderr = '';
  let started = false;
  const progress = () => {
    const done = transfer.done(stderr);
    if (done === 0) return;
    const atMs = monotonicMs();
    if (!started) context.report({ type: 'start', session, atMs });
    started = true;
    context.report({ type: 'progress', session, atMs, done, total: content.bytes });
  };
  child.stdout.on('data', (chunk: Buffer) => {
    transfer.output(chunk);
    progress();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
    progress();
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  child.on('error', (error) => {
    stderr = `curl: ${error.message}`;
  });
  // Comes after 'error' too, and once both pipes are empty.
  child.on('close', (code) => {
    const hashes = { expected: content.sha256, got: transfer.sha256() };
    const { how, detail } = curlEnd(code, stderr, hashes);
    context.report({ type: 'end', session, atMs: monotonicMs(), how, detail });
    resolve();
  });
  return { finished: promise, stop: () => child.kill('SIGKILL') };
}
