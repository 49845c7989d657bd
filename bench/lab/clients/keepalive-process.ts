/**
 * Clients that ask one question after the other over one connection each, as API clients do.
 * Usage: `node keepalive-process.ts PLAN`, PLAN being a {@link StreamPlan} as JSON.
 */
import type { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
import { EchoCheck } from './echo-check.ts';
import { httpFor } from './http-module.ts';
import { Reporter } from './reporter.ts';
import { SseParser } from './sse-parser.ts';
import { type StreamPlan, streamName, streamOffsetMs } from './stream-plan.ts';

const ANSWER_CHARS_MAX = 65_536;

interface Answer {
  readonly text: string;
  /** Whether it came over a connection that had been used before. */
  readonly reused: boolean;
}

/** One question: a stream of one event. Rejects with what went wrong. */
function ask(plan: StreamPlan, agent: Agent, stream: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const query = new URLSearchParams({ stream, count: '1', bytes: String(plan.messageBytes) });
  const { get } = httpFor(plan.baseUrl);
  const request = get(`${plan.baseUrl}/events?${query}`, { agent });
  request.setTimeout(plan.stallMs, () => request.destroy(new Error('no answer in time')));
  request.on('error', reject);
  request.on('response', (response) => {
    if (response.statusCode !== 200) {
      request.destroy(new Error(`HTTP ${response.statusCode}`));
      return;
    }
    let text = '';
    response.on('error', reject).setEncoding('utf8');
    response.on('data', (part: string) => {
      text = (text + part).slice(0, ANSWER_CHARS_MAX);
    });
    response.on('end', () => {
      const [event] = new SseParser().push(text);
      if (event === undefined) reject(new Error('an answer without content'));
      else resolve({ text: event.data, reused: request.reusedSocket });
    });
  });
  return promise;
}

async function run(plan: StreamPlan, index: number, reporter: Reporter): Promise<void> {
  const session = plan.sessions[index]!;
  const { Agent } = httpFor(plan.baseUrl);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await sleep(streamOffsetMs(index, plan.sessions.length, plan.everyMs));
  const firstAtMs = monotonicMs();
  const untilMs = firstAtMs + plan.count * plan.everyMs;
  let dueMs = firstAtMs;
  // One question at a time: over a long way fewer fit into the same time.
  for (let number = 0; ; number += 1) {
    await sleep(Math.max(0, dueMs - monotonicMs()));
    dueMs = Math.max(dueMs + plan.everyMs, monotonicMs());
    const askedAtMs = monotonicMs();
    const stream = `${streamName(session, plan.seed)}.${number}`;
    try {
      const { text, reused } = await ask(plan, agent, stream);
      // The connection is the session: another one in its place is the end of it.
      if (number > 0 && !reused) throw new Error('the connection was closed');
      const verdict = new EchoCheck(stream, plan.messageBytes).accept(text);
      if (!verdict.ok) {
        reporter.end(session, 'corrupt', `answer ${number}: ${verdict.complaint}`);
        break;
      }
    } catch (error) {
      const { message } = error as Error;
      const how = message === 'no answer in time' ? 'stalled' : 'reset';
      reporter.end(session, how, `${message} after ${number} answers`);
      break;
    }
    const nowMs = monotonicMs();
    if (number === 0) reporter.start(session);
    reporter.echo(session, nowMs, nowMs - askedAtMs);
    reporter.progress(session, nowMs - firstAtMs, untilMs - firstAtMs);
    if (nowMs >= untilMs) {
      reporter.end(session, 'complete', `${number + 1} answers over one connection`);
      break;
    }
  }
  agent.destroy();
}

const plan = JSON.parse(process.argv[2] ?? '') as StreamPlan;
const reporter = new Reporter();
await Promise.all(plan.sessions.map((_, index) => run(plan, index, reporter)));
reporter.close();
