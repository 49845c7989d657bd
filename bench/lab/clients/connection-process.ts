/**
 * Clients that make one connection after the other, from fresh ports or always from the same one.
 * Usage: `node connection-process.ts PLAN`, PLAN a {@link ConnectionPlan} as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
import { CLOSINGS, type Closing, type ConnectionPlan, ConnectionTally } from './connection-plan.ts';
import { EchoCheck } from './echo-check.ts';
import { httpFor } from './http-module.ts';
import { Reporter } from './reporter.ts';
import { SseParser } from './sse-parser.ts';
import { streamName } from './stream-plan.ts';

const MESSAGE_BYTES = 64;
/** The kernel of the client lets go of a port that it has closed itself after a second. */
const OWN_TIME_WAIT_MS = 1_200;

const PORT_RETRY_MS = 20;

/**
 * Begins `round` again while the client's own kernel still has the connection before on that port,
 * say because the last acknowledgement of its end is on the way: nothing has left the machine then.
 */
async function onceFree(round: () => Promise<void>): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += PORT_RETRY_MS) {
    try {
      return await round();
    } catch (error) {
      const isBusy = (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL';
      if (!isBusy || waitedMs >= OWN_TIME_WAIT_MS) throw error;
      await sleep(PORT_RETRY_MS);
    }
  }
}

/** One connection: a stream of numbered events, each checked. Rejects with what went wrong. */
function round(plan: ConnectionPlan, stream: string, port: number | undefined, closing: Closing) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const query = new URLSearchParams({
    stream,
    count: String(plan.count),
    everyMs: String(plan.everyMs),
    bytes: String(MESSAGE_BYTES),
  });
  const { Agent, get } = httpFor(plan.baseUrl);
  // An agent of its own keeps the connection open after the answer, so that the client closes it.
  const agent = closing === 'server' ? undefined : new Agent({ keepAlive: true, maxSockets: 1 });
  const request = get(`${plan.baseUrl}/events?${query}`, {
    agent: agent ?? false,
    ...(port === undefined ? {} : { localPort: port }),
  });
  const socketClosed = new Promise<void>((done) => {
    request.on('socket', (socket) => socket.on('close', () => done()));
  });
  const timer = setTimeout(
    () => request.destroy(new Error(`not done within ${plan.timeoutMs} ms`)),
    plan.timeoutMs,
  );
  const check = new EchoCheck(stream, MESSAGE_BYTES);
  const parser = new SseParser();
  request.on('error', reject);
  request.on('response', (response) => {
    response.on('error', reject);
    if (response.statusCode !== 200) {
      request.destroy(new Error(`HTTP ${response.statusCode}`));
      return;
    }
    response.setEncoding('utf8').on('data', (text: string) => {
      for (const event of parser.push(text)) {
        const verdict = check.accept(event.data);
        if (!verdict.ok) request.destroy(new Error(verdict.complaint));
      }
    });
    const { socket } = response;
    response.on('end', () => {
      if (check.next !== plan.count) reject(new Error('the stream ended early'));
      else if (closing === 'reset') socket.resetAndDestroy();
      else if (closing === 'client') socket.end();
      socketClosed.then(resolve, resolve);
    });
  });
  return promise.finally(() => {
    clearTimeout(timer);
    agent?.destroy();
  });
}

async function run(plan: ConnectionPlan, index: number, reporter: Reporter): Promise<void> {
  const session = plan.sessions[index]!;
  const untilMs = monotonicMs() + plan.durationMs;
  const tally = new ConnectionTally();
  const port = plan.firstPort === undefined ? undefined : plan.firstPort + index;
  await sleep((index * plan.pauseMs) / plan.sessions.length);
  for (let number = 0; monotonicMs() < untilMs; number += 1) {
    const beginMs = monotonicMs();
    const stream = `${streamName(session, plan.seed)}.${number}`;
    const closing = port === undefined ? 'server' : CLOSINGS[(number + index) % CLOSINGS.length]!;
    try {
      await onceFree(() => round(plan, stream, port, closing));
      const nowMs = monotonicMs();
      tally.succeed();
      if (number === 0) reporter.start(session);
      reporter.echo(session, nowMs, nowMs - beginMs);
      reporter.progress(session, tally.succeeded, tally.tried);
    } catch (error) {
      tally.fail((error as Error).message);
      reporter.progress(session, tally.succeeded, tally.tried);
      if (port !== undefined || number === 0) break;
    }
    await sleep(closing === 'client' ? OWN_TIME_WAIT_MS : plan.pauseMs);
  }
  const { how, detail } = tally.end;
  reporter.end(session, how, detail);
}

const plan = JSON.parse(process.argv[2] ?? '') as ConnectionPlan;
const reporter = new Reporter();
await Promise.all(plan.sessions.map((_, index) => run(plan, index, reporter)));
reporter.close();
