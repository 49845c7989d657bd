/**
 * Server-sent-event clients, run as a process of its own inside the client namespace.
 * Usage: `node sse-process.ts PLAN`, PLAN being a {@link StreamPlan} as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
import { EchoCheck } from './echo-check.ts';
import type { SessionEnd } from './event.ts';
import { httpFor } from './http-module.ts';
import { Reporter } from './reporter.ts';
import { SseParser } from './sse-parser.ts';
import { type StreamPlan, streamName, streamOffsetMs } from './stream-plan.ts';

const STALL_CHECK_MS = 200;
/** Idle time until the first probe; the next ones follow every second. */
const KEEP_ALIVE_MS = 1_000;

async function run(plan: StreamPlan, index: number, reporter: Reporter): Promise<void> {
  await sleep(streamOffsetMs(index, plan.sessions.length, plan.everyMs));
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = plan.sessions[index]!;
  const stream = streamName(session, plan.seed);
  const check = new EchoCheck(stream, plan.messageBytes);
  const parser = new SseParser();
  const query = new URLSearchParams({
    stream,
    count: String(plan.count),
    everyMs: String(plan.everyMs),
    bytes: String(plan.messageBytes),
  });
  let progressAtMs = monotonicMs();
  let ended = false;

  // `agent: false`: each session has a connection of its own.
  const { get } = httpFor(plan.baseUrl);
  const request = get(`${plan.baseUrl}/events?${query}`, { agent: false });
  const end = (how: SessionEnd, detail: string) => {
    if (ended) return;
    ended = true;
    clearInterval(stallTimer);
    reporter.end(session, how, detail);
    request.destroy();
    resolve();
  };
  const stallTimer = setInterval(() => {
    if (monotonicMs() - progressAtMs > plan.stallMs) {
      end('stalled', `no event for ${plan.stallMs} ms after event ${check.next - 1}`);
    }
  }, STALL_CHECK_MS);
  const lost = (what: string) =>
    end('reset', `${what} after ${check.next} of ${plan.count} events`);

  request.on('error', (error) => lost(error.message));
  // A stream whose server is gone says nothing by itself.
  request.setSocketKeepAlive(true, KEEP_ALIVE_MS);
  request.on('response', (response) => {
    if (response.statusCode !== 200) {
      lost(`HTTP ${response.statusCode}`);
      return;
    }
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      progressAtMs = monotonicMs();
      for (const event of parser.push(text)) {
        const verdict = check.accept(event.data);
        if (!verdict.ok || event.id !== String(verdict.number)) {
          end(
            'corrupt',
            verdict.ok ? `event ${verdict.number} has id ${event.id}` : verdict.complaint,
          );
          return;
        }
        if (verdict.number === 0) reporter.start(session);
      }
      reporter.progress(session, check.next, plan.count);
    });
    response.on('end', () => {
      if (check.next === plan.count) end('complete', `${plan.count} events in order`);
      else lost('the stream ended early');
    });
    response.on('error', (error) => lost(error.message));
  });
  return await promise;
}

const plan = JSON.parse(process.argv[2] ?? '') as StreamPlan;
const reporter = new Reporter();
await Promise.all(plan.sessions.map((_, index) => run(plan, index, reporter)));
reporter.close();
