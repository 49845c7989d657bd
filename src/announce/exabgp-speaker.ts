/**
 * What the program that ExaBGP runs says to it, and when it takes everything back by itself. A core
 * without IO.
 */
import type { ExabgpOrder, ExabgpReport } from './exabgp-message.ts';
import type { AnnounceState } from './state.ts';

export interface SpeakerOptions {
  /** What a predecessor of this program may have announced still. */
  readonly withdraw: readonly string[];
  /** How long an agent may take to give the first order. */
  readonly leaseMs: number;
}

/** ExaBGP's own table survives this program: the commands are repeated at times, to be sure. */
const REPEAT_MS = 60_000;

export class ExabgpSpeaker {
  #state: AnnounceState = 'down';
  #commands = '';
  #withdraw: readonly string[];
  #untilMs: number;
  #saidMs = Number.NEGATIVE_INFINITY;
  #isOver = false;
  #unanswered = 0;
  #refused = false;

  constructor(nowMs: number, { withdraw, leaseMs }: SpeakerOptions) {
    this.#withdraw = withdraw;
    this.#untilMs = nowMs + leaseMs;
  }

  /** What ExaBGP was last asked for. */
  get report(): ExabgpReport {
    const answer = this.#refused ? 'error' : this.#unanswered > 0 ? 'pending' : 'done';
    return { state: this.#state, answer };
  }

  /** An order of the agent. @returns commands for ExaBGP. */
  hear(nowMs: number, order: ExabgpOrder): readonly string[] {
    this.#untilMs = nowMs + order.leaseMs;
    this.#withdraw = order.withdraw;
    this.#isOver = false;
    const commands = order.commands.join('\n');
    const isNew = order.state !== this.#state || commands !== this.#commands;
    if (!isNew && nowMs - this.#saidMs < REPEAT_MS) return [];
    this.#state = order.state;
    this.#commands = commands;
    return this.#say(nowMs, order.commands);
  }

  /** A line of ExaBGP. @returns whether it answers a command. */
  answered(line: string): boolean {
    if (line !== 'done' && line !== 'error') return false;
    if (line === 'error') this.#refused = true;
    if (this.#unanswered > 0) this.#unanswered -= 1;
    return true;
  }

  /** Call about once a second. @returns commands for ExaBGP. */
  tick(nowMs: number): readonly string[] {
    if (this.#isOver || nowMs < this.#untilMs) return [];
    this.#isOver = true;
    this.#state = 'down';
    this.#commands = '';
    return this.#say(nowMs, this.#withdraw);
  }

  #say(nowMs: number, commands: readonly string[]): readonly string[] {
    this.#saidMs = nowMs;
    this.#refused = false;
    this.#unanswered = commands.length;
    return commands;
  }
}
