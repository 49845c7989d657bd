/** What clients report while they run, and how their reports are read. */

export const SESSION_KINDS = [
  'download',
  'upload',
  'websocket',
  'sse',
  /** A WebSocket that is silent until it is told to speak. */
  'idle',
  /** One question after the other over one connection. */
  'keepalive',
  /** One new connection after the other; the session goes on when one fails. */
  'connect',
  /** One connection of a few seconds after the other; the session goes on when one fails. */
  'visit',
  /** One connection after the other from the same source port. */
  'reuse',
  /** One question after the other; whenever its connection ends the client connects again. */
  'reconnect',
  /** A psql that asks one question after the other. */
  'psql',
  /** An interactive shell's terminal over ssh. */
  'ssh',
] as const;
export type SessionKind = (typeof SESSION_KINDS)[number];

/** How many sessions of each kind; those left out have none. */
export type ClientMix = Readonly<Partial<Record<SessionKind, number | undefined>>>;

/** How a session ended, told by the client that lived it. */
export type SessionEnd =
  /** It came to its end and everything was right. */
  | 'complete'
  /** The connection was refused, reset, closed early, or the client gave another error. */
  | 'reset'
  /** No progress within the stall limit. */
  | 'stalled'
  /** Bytes or message order differ from what was sent. */
  | 'corrupt';

/** Times are CLOCK_MONOTONIC milliseconds, sessions are named `websocket-3`. */
export type ClientEvent =
  /** The session has begun: its connection carries data. */
  | { readonly type: 'start'; readonly session: string; readonly atMs: number }
  /** `done` of `total` bytes or messages. */
  | {
      readonly type: 'progress';
      readonly session: string;
      readonly atMs: number;
      readonly done: number;
      readonly total: number;
    }
  /** Arrival times of echoes, in order, and how long each took from its sending. */
  | {
      readonly type: 'echoes';
      readonly session: string;
      readonly atMs: readonly number[];
      readonly rttMs: readonly number[];
    }
  /** A lost connection was replaced by another one, which was served. */
  | {
      readonly type: 'reconnect';
      readonly session: string;
      /** When the new connection was served. */
      readonly atMs: number;
      /** When the old one was lost. */
      readonly lostAtMs: number;
      /** Whether its TLS session went on, without a full handshake. */
      readonly resumed: boolean;
    }
  | {
      readonly type: 'end';
      readonly session: string;
      readonly atMs: number;
      readonly how: SessionEnd;
      /** For people: `curl 56: Recv failure: Connection reset by peer`. */
      readonly detail: string;
    };

const ENDS: readonly string[] = ['complete', 'reset', 'stalled', 'corrupt'];
const DETAIL_CHARS_MAX = 300;

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(isNumber);

/** Reads one JSON line of a client process; `undefined` for anything that is not an event. */
export function parseEvent(line: string): ClientEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { type, session, atMs, ...rest } = value as Record<string, unknown>;
  if (typeof session !== 'string') return undefined;
  if (type === 'echoes') {
    const { rttMs } = rest;
    if (!isNumbers(atMs) || !isNumbers(rttMs) || atMs.length !== rttMs.length) return undefined;
    return { type, session, atMs, rttMs };
  }
  if (!isNumber(atMs)) return undefined;
  if (type === 'start') return { type, session, atMs };
  if (type === 'progress') {
    const { done, total } = rest;
    return isNumber(done) && isNumber(total) ? { type, session, atMs, done, total } : undefined;
  }
  if (type === 'reconnect') {
    const { lostAtMs, resumed } = rest;
    if (!isNumber(lostAtMs) || typeof resumed !== 'boolean') return undefined;
    return { type, session, atMs, lostAtMs, resumed };
  }
  if (type === 'end') {
    const { how, detail } = rest;
    if (typeof how !== 'string' || !ENDS.includes(how) || typeof detail !== 'string') {
      return undefined;
    }
    const shortened = detail.slice(0, DETAIL_CHARS_MAX);
    return { type, session, atMs, how: how as SessionEnd, detail: shortened };
  }
  return undefined;
}
