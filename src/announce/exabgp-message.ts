/**
 * What an agent and the program that ExaBGP runs for it say to each other: lines of JSON over a
 * unix socket. A core without IO.
 */
import { ANNOUNCE_STATES, type AnnounceState } from './state.ts';

/** Agent to program, for every change and again within the dead-man time. */
export interface ExabgpOrder {
  readonly state: AnnounceState;
  /** Commands of ExaBGP's text API that bring that state about. */
  readonly commands: readonly string[];
  /** Commands that take everything back. */
  readonly withdraw: readonly string[];
  /** Without a further order for this long, everything is taken back. */
  readonly leaseMs: number;
}

/** Program to agent: what it has asked ExaBGP for, and what that said. */
export interface ExabgpReport {
  readonly state: AnnounceState;
  /**
   * `done`: ExaBGP took every command. `error`: it refused one. `pending`: it has not answered, or
   * answers nothing at all (`exabgp.api.ack` is off).
   */
  readonly answer: 'done' | 'error' | 'pending';
}

/** Longest line, and so the most that is kept of one. */
export const LINE_BYTES_MAX = 65_536;
const COMMANDS_MAX = 256;
const LEASE_MAX_MS = 3_600_000;
const ANSWERS: readonly unknown[] = ['done', 'error', 'pending'];

/** `undefined` when it is none. A command is one line, whoever sent it. */
export function parseExabgpOrder(line: string): ExabgpOrder | undefined {
  const order = objectIn(line);
  if (order === undefined) return undefined;
  const { state, commands, withdraw, leaseMs } = order;
  if (!isState(state) || !isCommands(commands) || !isCommands(withdraw)) return undefined;
  if (typeof leaseMs !== 'number' || !(leaseMs > 0 && leaseMs <= LEASE_MAX_MS)) return undefined;
  return { state, commands, withdraw, leaseMs };
}

/** `undefined` when it is none. */
export function parseExabgpReport(line: string): ExabgpReport | undefined {
  const report = objectIn(line);
  if (report === undefined || !isState(report.state)) return undefined;
  if (!ANSWERS.includes(report.answer)) return undefined;
  return { state: report.state, answer: report.answer as ExabgpReport['answer'] };
}

/** Cuts what comes in into lines. */
export class LineCutter {
  #rest = '';

  /** @returns whole lines; `undefined` when one is longer than {@link LINE_BYTES_MAX}. */
  push(text: string): string[] | undefined {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LINE_BYTES_MAX) return undefined;
    return lines.some((line) => line.length > LINE_BYTES_MAX) ? undefined : lines;
  }
}

function objectIn(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function isState(value: unknown): value is AnnounceState {
  return (ANNOUNCE_STATES as readonly unknown[]).includes(value);
}

function isCommands(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length > COMMANDS_MAX) return false;
  return value.every(
    (each) => typeof each === 'string' && /^(announce|withdraw) route [ -~]{1,1000}$/.test(each),
  );
}
