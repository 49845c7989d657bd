/**
 * WebSocket echo clients, run as a process of its own inside the client namespace.
 * Usage: `node websocket-process.ts PLAN`, PLAN being a {@link StreamPlan} as JSON.
 */
import { WebSocket } from 'ws';
import { monotonicMs } from '../clock.ts';
import { message } from '../origin/payload.ts';
import { EchoCheck } from './echo-check.ts';
import type { SessionEnd } from './event.ts';
import { Reporter } from './reporter.ts';
import { type StreamPlan, streamName, streamOffsetMs } from './stream-plan.ts';
import { Turnstile } from './turnstile.ts';

const CONNECT_MS = 10_000;
/** Handshakes under way at once. */
const OPENING_MAX = 50;
/** A stream that cannot send stops making messages: memory stays bounded while it waits. */
const UNSENT_BYTES_MAX = 262_144;

const turnstile = new Turnstile(OPENING_MAX);

async function run(plan: StreamPlan, index: number, reporter: Reporter): Promise<void> {
  await turnstile.enter();
  const opened = Promise.withResolvers<void>();
  opened.promise.then(() => turnstile.leave());
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = plan.sessions[index]!;
  const stream = streamName(session, plan.seed);
  const check = new EchoCheck(stream, plan.messageBytes);
  const socket = new WebSocket(`${plan.baseUrl.replace('http', 'ws')}/ws`, {
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_MS,
  });
  const sentAtMs: number[] = [];
  let firstAtMs = 0;
  let progressAtMs = monotonicMs();
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  let complaint = '';

  const end = (how: SessionEnd, detail: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    reporter.end(session, how, detail);
    opened.resolve();
    if (how !== 'complete') socket.terminate();
    resolve();
  };

  const beat = () => {
    const nowMs = monotonicMs();
    if (nowMs - progressAtMs > plan.stallMs) {
      end('stalled', `no echo for ${plan.stallMs} ms after message ${check.next - 1}`);
      return;
    }
    const due = Math.min(plan.count, Math.floor((nowMs - firstAtMs) / plan.everyMs) + 1);
    while (sentAtMs.length < due && socket.bufferedAmount < UNSENT_BYTES_MAX) {
      const number = sentAtMs.length;
      sentAtMs.push(monotonicMs());
      socket.send(message(stream, number, plan.messageBytes));
    }
    const nextAtMs = firstAtMs + sentAtMs.length * plan.everyMs;
    const waitMs = sentAtMs.length < plan.count ? nextAtMs - monotonicMs() : plan.everyMs;
    timer = setTimeout(beat, Math.max(1, waitMs));
  };

  socket.on('open', () => {
    opened.resolve();
    timer = setTimeout(
      () => {
        firstAtMs = monotonicMs();
        progressAtMs = firstAtMs;
        beat();
      },
      streamOffsetMs(index, plan.sessions.length, plan.everyMs),
    );
  });
  socket.on('message', (data) => {
    const atMs = monotonicMs();
    const verdict = check.accept(data.toString());
    if (!verdict.ok) {
      end('corrupt', verdict.complaint);
      return;
    }
    progressAtMs = atMs;
    if (verdict.number === 0) reporter.start(session);
    reporter.echo(session, atMs, atMs - (sentAtMs[verdict.number] ?? atMs));
    reporter.progress(session, check.next, plan.count);
    if (check.next === plan.count) {
      clearTimeout(timer);
      const unanswered = `the close was not answered within ${plan.stallMs} ms`;
      timer = setTimeout(() => end('stalled', unanswered), plan.stallMs);
      socket.close(1000);
    }
  });
  socket.on('error', (error) => {
    complaint = error.message;
  });
  // ws reports a reset of an open connection only as code 1006; the socket knows more.
  socket.on('upgrade', (response) => {
    response.socket.on('error', (error) => {
      complaint = error.message;
    });
  });
  socket.on('close', (code, reason) => {
    if (check.next === plan.count && code === 1000) {
      end('complete', `${plan.count} echoes in order`);
      return;
    }
    const text = complaint || `closed ${code} ${reason.toString()}`.trim();
    end('reset', `${text} after ${check.next} of ${plan.count} echoes`);
  });
  await promise;
}

const plan = JSON.parse(process.argv[2] ?? '') as StreamPlan;
const reporter = new Reporter();
await Promise.all(plan.sessions.map((_, index) => run(plan, index, reporter)));
reporter.close();
