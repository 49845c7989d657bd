/** A program of others that is given lines and answers each by a line: psql, a shell over ssh. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { monotonicMs } from '../clock.ts';
import { labEnvironment } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import { message } from '../origin/payload.ts';
import { type ClientContext, type ClientRun, sessionNames, together } from './client.ts';
import { EchoCheck } from './echo-check.ts';
import type { SessionEnd, SessionKind } from './event.ts';
import { messageCount, streamName, streamOffsetMs } from './stream-plan.ts';

const MESSAGE_BYTES = 96;
const STDERR_CHARS_MAX = 20_000;
/** Lines that wait for their answers; more are not asked until some have come. */
const UNANSWERED_MAX = 500;
const CLOSE_MS = 3_000;

/** How to talk with one program. */
export interface Conversation {
  readonly argv: readonly string[];
  /** The line with which the program says that it listens; absent when it listens at once. */
  readonly greeting?: string;
  /** What is written so that `text` comes back as a line. */
  ask(text: string): string;
  /** What is written at the end, after which the program ends with code 0. */
  readonly farewell: string;
}

/** One program per session. Sessions report their answers as echoes. */
export function startConversations(
  context: ClientContext,
  kind: SessionKind,
  sessions: number,
  conversation: Conversation,
): ClientRun {
  const names = sessionNames(kind, sessions);
  context.expect(names);
  const runs = names.map((name, index) => {
    const offsetMs = streamOffsetMs(index, sessions, context.everyMs);
    return startConversation(context, name, conversation, offsetMs);
  });
  return together(runs);
}

function startConversation(
  context: ClientContext,
  session: string,
  conversation: Conversation,
  offsetMs: number,
): ClientRun {
  const { everyMs, stallMs } = context;
  const stream = streamName(session, context.seed);
  const count = messageCount(context.durationMs, everyMs);
  const check = new EchoCheck(stream, MESSAGE_BYTES);
  const [program = '', ...args] = insideNamespace(context.namespace, conversation.argv);
  // Detached: Ctrl-C belongs to the lab, which ends its clients in order.
  const child = spawn(program, args, { stdio: 'pipe', env: labEnvironment(), detached: true });
  child.stdin.on('error', () => {});
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
  });
  const sentAtMs: number[] = [];
  let greeted = conversation.greeting === undefined;
  let firstAtMs = monotonicMs() + offsetMs;
  let progressAtMs = monotonicMs();
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const { promise, resolve } = Promise.withResolvers<void>();

  const end = (how: SessionEnd, detail: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    context.report({ type: 'end', session, atMs: monotonicMs(), how, detail });
    if (how !== 'complete') child.kill('SIGKILL');
  };
  const beat = () => {
    const nowMs = monotonicMs();
    if (nowMs - progressAtMs > stallMs) {
      end('stalled', `no answer for ${stallMs} ms after line ${check.next - 1}`);
      return;
    }
    const due = Math.min(count, Math.floor((nowMs - firstAtMs) / everyMs) + 1);
    while (sentAtMs.length < due && sentAtMs.length - check.next < UNANSWERED_MAX) {
      const number = sentAtMs.length;
      sentAtMs.push(monotonicMs());
      child.stdin.write(conversation.ask(message(stream, number, MESSAGE_BYTES)));
    }
    const nextAtMs = firstAtMs + sentAtMs.length * everyMs;
    timer = setTimeout(beat, Math.max(1, Math.min(nextAtMs - monotonicMs(), everyMs)));
  };

  createInterface(child.stdout).on('line', (line) => {
    const atMs = monotonicMs();
    progressAtMs = atMs;
    if (!greeted) {
      greeted = line === conversation.greeting;
      if (greeted) {
        clearTimeout(timer);
        firstAtMs = atMs + offsetMs;
        beat();
      }
      return;
    }
    const verdict = check.accept(line);
    if (!verdict.ok) {
      end('corrupt', `${verdict.complaint}: ${line.slice(0, 80)}`);
      return;
    }
    if (verdict.number === 0) context.report({ type: 'start', session, atMs });
    const rttMs = atMs - (sentAtMs[verdict.number] ?? atMs);
    context.report({ type: 'echoes', session, atMs: [atMs], rttMs: [rttMs] });
    context.report({ type: 'progress', session, atMs, done: check.next, total: count });
    if (check.next === count) {
      clearTimeout(timer);
      timer = setTimeout(() => end('stalled', 'the program does not end'), CLOSE_MS);
      child.stdin.end(conversation.farewell);
    }
  });
  child.on('error', (error) => {
    stderr = error.message;
  });
  child.on('close', (code, signal) => {
    const said = stderr.trim().split('\n').at(-1)?.trim() || `ended (${signal ?? code})`;
    if (check.next === count && code === 0) end('complete', `${count} lines in order`);
    else end('reset', `${said} after ${check.next} of ${count} lines`);
    resolve();
  });
  if (greeted) beat();
  else {
    timer = setTimeout(() => end('reset', 'the program does not begin'), stallMs);
  }
  return { finished: promise, stop: () => child.kill('SIGKILL') };
}
