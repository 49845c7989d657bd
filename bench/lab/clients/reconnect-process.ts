/**
 * Clients that ask one question after the other over one connection each, and open another one at
 * once whenever that ends. By https they offer the TLS session that they have.
 * Usage: `node reconnect-process.ts PLAN`, PLAN being a {@link ReconnectPlan} as JSON.
 */
import { readFileSync } from 'node:fs';
import type { Agent, ClientRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { monotonicMs } from '../clock.ts';
import { EchoCheck } from './echo-check.ts';
import { type HttpModule, httpFor } from './http-module.ts';
import type { ReconnectPlan } from './reconnect-plan.ts';
import { Reporter } from './reporter.ts';
import { SseParser } from './sse-parser.ts';
import { streamName, streamOffsetMs } from './stream-plan.ts';

const MESSAGE_BYTES = 64;

interface Answer {
  /** Whether it came over the connection of the question before. */
  readonly kept: boolean;
  readonly resumed: boolean;
}

class Client {
  readonly #plan: ReconnectPlan;
  readonly #http: HttpModule;
  readonly #agent: Agent;
  /** The newest TLS session that the server gave. */
  #session: Buffer | undefined;

  constructor(plan: ReconnectPlan, ca: string | undefined) {
    this.#plan = plan;
    this.#http = httpFor(plan.baseUrl);
    const trust = ca === undefined ? {} : { ca };
    this.#agent = new this.#http.Agent({ keepAlive: true, maxSockets: 1, ...trust });
  }

  /** One question. Rejects with what went wrong. */
  ask(stream: string, timeoutMs: number): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const query = new URLSearchParams({ stream, count: '1', bytes: String(MESSAGE_BYTES) });
    const offered = this.#session === undefined ? {} : { session: this.#session };
    const request: ClientRequest = this.#http.get(`${this.#plan.baseUrl}/events?${query}`, {
      agent: this.#agent,
      ...offered,
    });
    request.on('socket', (socket) => {
      if (request.reusedSocket) return;
      // The agent's own cache forgets a session whose connection ended by an error; browsers do not.
      socket.on('session', (session: Buffer) => {
        this.#session = session;
      });
    });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    request.on('error', reject);
    request.on('response', (response) => {
      const { reusedSocket: kept } = request;
      const resumed = (response.socket as Partial<TLSSocket>).isSessionReused?.() ?? false;
      if (response.statusCode !== 200) {
        request.destroy(new Error(`HTTP ${response.statusCode}`));
        return;
      }
      const parser = new SseParser();
      const check = new EchoCheck(stream, MESSAGE_BYTES);
      response.on('error', reject).setEncoding('utf8');
      response.on('data', (text: string) => {
        for (const event of parser.push(text)) {
          const verdict = check.accept(event.data);
          if (!verdict.ok) request.destroy(new Error(verdict.complaint));
        }
      });
      response.on('end', () => {
        if (check.next === 1) resolve({ kept, resumed });
        else reject(new Error('the answer ended early'));
      });
    });
    return promise.finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function run(plan: ReconnectPlan, index: number, reporter: Reporter): Promise<void> {
  const session = plan.sessions[index]!;
  const ca = plan.certificateFile;
  const client = new Client(plan, ca === undefined ? undefined : readFileSync(ca, 'utf8'));
  await sleep(streamOffsetMs(index, plan.sessions.length, plan.everyMs));
  const beganAtMs = monotonicMs();
  const untilMs = beganAtMs + plan.durationMs;
  let lostAtMs: number | undefined;
  let detail = '';
  let lost = 0;
  for (let number = 0; monotonicMs() < untilMs; number += 1) {
    const askedAtMs = monotonicMs();
    const isNew = number === 0 || lostAtMs !== undefined;
    const stream = `${streamName(session, plan.seed)}.${number}`;
    try {
      const timeoutMs = isNew ? plan.connectTimeoutMs : plan.answerTimeoutMs;
      const { kept, resumed } = await client.ask(stream, timeoutMs);
      const nowMs = monotonicMs();
      if (number === 0) reporter.start(session);
      // A connection that the server closed between two questions was lost just now.
      else if (!kept) reporter.reconnect(session, lostAtMs ?? askedAtMs, nowMs, resumed);
      lostAtMs = undefined;
      reporter.echo(session, nowMs, nowMs - askedAtMs);
      reporter.progress(session, nowMs - beganAtMs, plan.durationMs);
      await sleep(Math.max(0, askedAtMs + plan.everyMs - nowMs));
    } catch (error) {
      if (number === 0) {
        reporter.end(session, 'reset', (error as Error).message);
        client.close();
        return;
      }
      if (lostAtMs === undefined) lost += 1;
      lostAtMs ??= monotonicMs();
      detail = (error as Error).message;
      await sleep(plan.retryMs);
    }
  }
  if (lostAtMs === undefined) reporter.end(session, 'complete', `${lost} connections lost`);
  else reporter.end(session, 'reset', `not served again: ${detail}`);
  client.close();
}

const plan = JSON.parse(process.argv[2] ?? '') as ReconnectPlan;
const reporter = new Reporter();
await Promise.all(plan.sessions.map((_, index) => run(plan, index, reporter)));
reporter.close();
