/**
 * Thousands of WebSockets that say nothing until standard input says `speak`; each then sends one
 * message and waits for its echo. Usage: `node idle-process.ts PLAN`, PLAN an {@link IdlePlan}.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { message } from '../origin/payload.ts';
import { EchoCheck } from './echo-check.ts';
import type { IdlePlan } from './idle.ts';
import { Reporter } from './reporter.ts';
import { streamName } from './stream-plan.ts';
import { openingRequest, parseOpening, parseTextFrame, textFrame } from './websocket-frame.ts';

/** Handshakes under way at once: a burst of ten thousand SYNs would measure backlogs. */
const OPENING_MAX = 100;
/** Messages a millisecond when all speak. */
const SPEAK_PER_MS = 10;
const OPENING_MS = 10_000;
const MESSAGE_BYTES = 64;

class IdleSession {
  readonly #plan: IdlePlan;
  readonly #name: string;
  readonly #reporter: Reporter;
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #socket: Socket;
  #state: 'opening' | 'silent' | 'speaking' | 'over' = 'opening';
  #received: Buffer = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;

  constructor(plan: IdlePlan, name: string, reporter: Reporter) {
    this.#plan = plan;
    this.#name = name;
    this.#reporter = reporter;
    this.#socket = connect({ host: plan.host, port: plan.port, noDelay: true });
    this.#timer = setTimeout(() => this.#end('reset', 'not open in time'), OPENING_MS);
    this.#socket.write(openingRequest(plan.host, '/ws'));
    this.#socket.on('data', (bytes: Buffer) => this.#data(bytes));
    this.#socket.on('error', (error) => this.#end('reset', `${error.message} ${this.#when()}`));
    this.#socket.on('end', () => this.#end('reset', `closed ${this.#when()}`));
  }

  /** Resolves when the session is open or has failed. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  speak(mask: number): void {
    if (this.#state !== 'silent') return;
    this.#state = 'speaking';
    const { seed, stallMs } = this.#plan;
    this.#timer = setTimeout(() => this.#end('stalled', `no answer within ${stallMs} ms`), stallMs);
    const stream = streamName(this.#name, seed);
    this.#socket.write(textFrame(message(stream, 0, MESSAGE_BYTES), mask));
  }

  #when(): string {
    const when = { opening: 'while opening', silent: 'in silence', speaking: 'when it spoke' };
    return this.#state === 'over' ? '' : when[this.#state];
  }

  #data(bytes: Buffer): void {
    try {
      this.#received = Buffer.concat([this.#received, bytes]);
      if (this.#state === 'opening') this.#opening();
      else if (this.#state === 'speaking') this.#answer();
      else if (this.#state === 'silent') this.#end('corrupt', 'a message that nobody asked for');
    } catch (error) {
      this.#end(this.#state === 'opening' ? 'reset' : 'corrupt', (error as Error).message);
    }
  }

  #opening(): void {
    const rest = parseOpening(this.#received);
    if (rest === undefined) return;
    clearTimeout(this.#timer);
    this.#received = rest;
    this.#state = 'silent';
    this.#reporter.start(this.#name);
    this.#opened.resolve();
  }

  #answer(): void {
    const text = parseTextFrame(this.#received);
    if (text === undefined) return;
    const check = new EchoCheck(streamName(this.#name, this.#plan.seed), MESSAGE_BYTES);
    const verdict = check.accept(text);
    if (verdict.ok) this.#end('complete', 'one message each way');
    else this.#end('corrupt', verdict.complaint);
  }

  #end(how: 'complete' | 'reset' | 'stalled' | 'corrupt', detail: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    clearTimeout(this.#timer);
    this.#reporter.end(this.#name, how, detail);
    this.#socket.destroy();
    this.#received = Buffer.alloc(0);
    this.#opened.resolve();
    this.#ended.resolve();
  }
}

const plan = JSON.parse(process.argv[2] ?? '') as IdlePlan;
const reporter = new Reporter();
const sessions: IdleSession[] = [];
const speak = Promise.withResolvers<void>();
process.stdin.on('data', () => speak.resolve());

const open = async (): Promise<void> => {
  while (sessions.length < plan.sessions) {
    const session = new IdleSession(plan, `idle-${plan.first + sessions.length}`, reporter);
    sessions.push(session);
    await session.opened;
  }
};
await Promise.all(Array.from({ length: OPENING_MAX }, open));
await speak.promise;
for (const [index, session] of sessions.entries()) {
  session.speak(index);
  if (index % SPEAK_PER_MS === 0) await sleep(1);
}
await Promise.all(sessions.map((session) => session.ended));
reporter.close();
