/** One JSON line per request, written when it has ended. */
import { type Logger, pino } from 'pino';
import type { Exchange } from './exchange.ts';

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

export interface AccessRecord {
  /** Request id, also sent to the client and the origin. Absent if no request could be read. */
  readonly id?: string;
  readonly client: string;
  readonly method?: string;
  readonly host?: string;
  readonly target?: string;
  readonly proto: 'http' | 'https';
  readonly route?: string;
  /** Id and URL of the origin that was asked last. */
  origin?: string;
  /** Status sent to the client; 0 if none was. */
  status: number;
  /** Bytes of the request's body (or sent by the client through a tunnel). */
  bytesIn: number;
  /** Bytes of the answer's body (or sent to the client through a tunnel). */
  bytesOut: number;
  /** From the end of the request's head to the end of the answer, milliseconds. */
  durationMs: number;
  /** From the same start until the origin's head arrived, milliseconds. */
  originMs?: number;
  retries?: number;
  outcome: Outcome;
  code?: string;
  limit?: string;
  detail?: string;
  readonly agent?: string;
}

/** What is known of any request, before its end is known. */
export function accessRecordOf(
  exchange: Exchange,
  route: string | undefined,
  status: number,
  outcome: Outcome,
): AccessRecord {
  const { connection, headers } = exchange;
  const agent = headers['user-agent'];
  return {
    id: exchange.id,
    client: exchange.clientAddress,
    method: exchange.method,
    host: exchange.host,
    target: exchange.target,
    proto: connection.tls ? 'https' : 'http',
    ...(route === undefined ? {} : { route }),
    status,
    bytesIn: 0,
    bytesOut: 0,
    durationMs: 0,
    outcome,
    ...(agent === undefined ? {} : { agent }),
  };
}

export interface AccessLogSink {
  /** Takes one whole line with its line end. */
  write(line: string): void;
}

export class AccessLog {
  readonly #logger: Logger | undefined;

  /** @param sink where lines go; `null` writes none. */
  constructor(sink: AccessLogSink | null, node: string) {
    if (sink === null) return;
    this.#logger = pino(
      {
        base: { node },
        timestamp: isoTimeField,
        // Every line is of one kind; a level would say nothing.
        formatters: { level: () => ({ type: 'access' }) },
      },
      sink,
    );
  }

  write(record: AccessRecord): void {
    if (this.#logger === undefined) return;
    record.durationMs = rounded(record.durationMs);
    if (record.originMs !== undefined) record.originMs = rounded(record.originMs);
    this.#logger.info(record);
  }
}

/** Microseconds are as much as a clock in a busy event loop can mean. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

let secondMs = 0;
let secondText = '';

/** pino's field for the time, ISO 8601 in UTC; the part up to the second is made once a second. */
function isoTimeField(): string {
  const nowMs = Date.now();
  const ms = nowMs % 1_000;
  if (nowMs - ms !== secondMs) {
    secondMs = nowMs - ms;
    secondText = new Date(secondMs).toISOString().slice(0, 20);
  }
  return `,"time":"${secondText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z"`;
}
