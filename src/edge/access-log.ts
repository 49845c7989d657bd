/** One JSON line per request, written when it has ended. */
import type { ClientConnection } from './connection.ts';
import type { Exchange } from './exchange.ts';
import type { Refusal } from './refusal.ts';

/** How a request ended. */
export type Outcome =
  /** Answered completely. */
  | 'done'
  /** The edge itself answered, with a refusal or redirect. */
  | 'answered'
  /** The client went away first. */
  | 'client-gone'
  /** The origin failed in the middle of its answer; the client's connection was broken. */
  | 'origin-failed'
  /** Cut by a limit or by the end of a drain. */
  | 'cut';

/**
 * Always all keys in one order: V8 then writes it by one fast path, and what is undefined is left out
 * of the line. (A pino call per line was a sixth of a small request's CPU.)
 */
export interface AccessRecord {
  readonly type: 'access';
  /** When it ended, ISO 8601 in UTC. */
  time: string;
  node: string;
  /** Request id, also sent to the client and the origin. Absent if no request could be read. */
  readonly id: string | undefined;
  readonly client: string;
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly target: string | undefined;
  readonly proto: 'http' | 'https';
  readonly route: string | undefined;
  /** URL of the origin that was asked last. */
  origin: string | undefined;
  /** Status sent to the client; 0 if none was. */
  status: number;
  /** Bytes of the request's body (or sent by the client through a tunnel). */
  bytesIn: number;
  /** Bytes of the answer's body (or sent to the client through a tunnel). */
  bytesOut: number;
  /** From the end of the request's head to the end of the answer, milliseconds. */
  durationMs: number;
  /** From the same start until the origin's head arrived, milliseconds. */
  originMs: number | undefined;
  retries: number;
  outcome: Outcome;
  code: string | undefined;
  /** The setting whose limit was hit. */
  limit: string | undefined;
  detail: string | undefined;
  readonly agent: string | undefined;
}

/** What is known of any request, before its end is known. */
export function accessRecordOf(
  exchange: Exchange,
  route: string | undefined,
  status: number,
  outcome: Outcome,
): AccessRecord {
  const { connection, headers } = exchange;
  return {
    type: 'access',
    time: '',
    node: '',
    id: exchange.id,
    client: exchange.clientAddress,
    method: exchange.method,
    host: exchange.host,
    target: exchange.target,
    proto: connection.tls ? 'https' : 'http',
    route,
    origin: undefined,
    status,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    originMs: undefined,
    retries: 0,
    outcome,
    code: undefined,
    limit: undefined,
    detail: undefined,
    agent: headers['user-agent'],
  };
}

/** The record of a connection on which no request could be read. */
export function accessRecordWithoutRequest(
  connection: ClientConnection,
  refusal: Refusal,
  detail: string,
): AccessRecord {
  return {
    type: 'access',
    time: '',
    node: '',
    id: undefined,
    client: connection.source.address,
    method: undefined,
    host: undefined,
    target: undefined,
    proto: connection.tls ? 'https' : 'http',
    route: undefined,
    origin: undefined,
    status: refusal.status,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    originMs: undefined,
    retries: 0,
    outcome: 'answered',
    code: refusal.code,
    limit: refusal.limit,
    detail: detail === '' ? undefined : detail,
    agent: undefined,
  };
}

export interface AccessLogSink {
  /** Takes one whole line with its line end. */
  write(line: string): void;
}

export class AccessLog {
  readonly #sink: AccessLogSink | null;
  readonly #node: string;

  /** @param sink where lines go; `null` writes none. */
  constructor(sink: AccessLogSink | null, node: string) {
    this.#sink = sink;
    this.#node = node;
  }

  write(record: AccessRecord): void {
    if (this.#sink === null) return;
    record.node = this.#node;
    record.time = isoTime(Date.now());
    record.durationMs = rounded(record.durationMs);
    if (record.originMs !== undefined) record.originMs = rounded(record.originMs);
    this.#sink.write(`${JSON.stringify(record)}\n`);
  }
}

/** Microseconds are as much as a clock in a busy event loop can mean. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

let secondMs = 0;
let secondText = '';

/** The part up to the second is made once a second. */
function isoTime(nowMs: number): string {
  const ms = nowMs % 1_000;
  if (nowMs - ms !== secondMs) {
    secondMs = nowMs - ms;
    secondText = new Date(secondMs).toISOString().slice(0, 20);
  }
  return `${secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
}
