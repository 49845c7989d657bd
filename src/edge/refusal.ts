/**
 * Answers the edge gives itself. Each names what was wrong, in the body for the client and as a
 * stable code in the access log; where a limit was hit, the log names the setting.
 */
import { STATUS_CODES } from 'node:http';

export interface Refusal {
  readonly status: number;
  /** Stable name for logs and metrics. */
  readonly code: string;
  /** For people, without facts about the inside of the network. */
  readonly text: string;
  /** The setting whose limit was hit. */
  readonly limit?: string;
  /** The connection cannot be used for a further request. */
  readonly closes?: true;
  readonly headers?: readonly string[];
}

const retryAfter = ['retry-after', '1'];

export const refusals = {
  framing: {
    status: 400,
    code: 'ERR_FRAMING',
    text: 'the request is not well-formed HTTP/1.1',
    closes: true,
  },
  slowHead: {
    status: 408,
    code: 'ERR_HEAD_TIMEOUT',
    text: 'the request head took too long',
    limit: 'limits.headMs',
    closes: true,
  },
  slowBody: {
    status: 408,
    code: 'ERR_BODY_TIMEOUT',
    text: 'the request body stalled',
    limit: 'timeouts.bodyIdleMs',
    closes: true,
  },
  largeHead: {
    status: 431,
    code: 'ERR_HEAD_SIZE',
    text: 'the request head is too large',
    limit: 'limits.headBytes',
    closes: true,
  },
  largeBody: {
    status: 413,
    code: 'ERR_BODY_SIZE',
    text: 'the request body is too large',
    limit: 'limits.bodyBytes',
    closes: true,
  },
  tooManyConnections: {
    status: 429,
    code: 'ERR_CLIENT_CONNECTIONS',
    text: 'too many connections from this address',
    limit: 'limits.connectionsPerClient',
    closes: true,
  },
  full: {
    status: 503,
    code: 'ERR_CONNECTIONS',
    text: 'too many connections',
    limit: 'limits.connections',
    closes: true,
    headers: retryAfter,
  },
  proxyHeader: {
    status: 400,
    code: 'ERR_PROXY_HEADER',
    text: 'the connection does not begin with a valid PROXY protocol header',
    closes: true,
  },
  /** Only ever in logs and counts: there is no channel to say it on. */
  tlsHandshake: {
    status: 0,
    code: 'ERR_TLS_HANDSHAKE',
    text: 'the TLS handshake failed',
    closes: true,
  },
  expectation: {
    status: 417,
    code: 'ERR_EXPECTATION',
    text: 'the only known expectation is 100-continue',
    closes: true,
  },
  method: {
    status: 501,
    code: 'ERR_METHOD',
    text: 'CONNECT is not offered here',
    closes: true,
  },
  version: {
    status: 505,
    code: 'ERR_VERSION',
    text: 'only HTTP/1.0 and HTTP/1.1 are spoken here',
    closes: true,
  },
  target: {
    status: 400,
    code: 'ERR_TARGET',
    text: 'the request target is not a valid path',
    closes: true,
  },
  noRoute: {
    status: 404,
    code: 'ERR_NO_ROUTE',
    text: 'no site or route is configured for this address',
  },
  noHealthyOrigin: {
    status: 503,
    code: 'ERR_NO_HEALTHY_ORIGIN',
    text: 'no healthy origin',
    headers: retryAfter,
  },
  queueFull: {
    status: 503,
    code: 'ERR_QUEUE_FULL',
    text: 'every origin is busy and the queue is full',
    limit: 'limits.queue',
    headers: retryAfter,
  },
  queueTimeout: {
    status: 503,
    code: 'ERR_QUEUE_TIMEOUT',
    text: 'every origin is busy',
    limit: 'limits.queueMs',
    headers: retryAfter,
  },
  originConnect: {
    status: 502,
    code: 'ERR_ORIGIN_CONNECT',
    text: 'the origin cannot be reached',
  },
  originConnectTimeout: {
    status: 504,
    code: 'ERR_ORIGIN_CONNECT_TIMEOUT',
    text: 'the origin did not accept a connection in time',
    limit: 'timeouts.connectMs',
  },
  originClosed: {
    status: 502,
    code: 'ERR_ORIGIN_CLOSED',
    text: 'the origin closed the connection before it answered',
  },
  originProtocol: {
    status: 502,
    code: 'ERR_ORIGIN_PROTOCOL',
    text: 'the origin’s answer is not valid HTTP/1.1',
  },
  originSlow: {
    status: 504,
    code: 'ERR_ORIGIN_TIMEOUT',
    text: 'the origin took too long to answer',
    limit: 'timeouts.headersMs',
  },
  originStalled: {
    status: 504,
    code: 'ERR_ORIGIN_STALLED',
    text: 'the origin stopped in the middle of its answer',
    limit: 'timeouts.bodyIdleMs',
  },
  slowReader: {
    status: 408,
    code: 'ERR_READ_TIMEOUT',
    text: 'the client stopped reading the answer',
    limit: 'timeouts.bodyIdleMs',
    closes: true,
  },
  totalTime: {
    status: 504,
    code: 'ERR_TOTAL_TIMEOUT',
    text: 'the request took too long',
    limit: 'timeouts.totalMs',
    closes: true,
  },
  internal: {
    status: 500,
    code: 'ERR_INTERNAL',
    text: 'the edge failed',
    closes: true,
  },
} as const satisfies Record<string, Refusal>;

export function refusalBody(refusal: Refusal, requestId?: string): string {
  const id = requestId === undefined ? '' : `request ${requestId}\n`;
  return `${refusal.status} ${STATUS_CODES[refusal.status]}: ${refusal.text}\n${id}`;
}

/** A whole response as bytes, for connections on which no request could be read. */
export function rawRefusal(refusal: Refusal): Buffer {
  const body = refusalBody(refusal);
  const extra = refusal.headers ?? [];
  let head = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n`;
  for (let i = 0; i < extra.length; i += 2) head += `${extra[i]}: ${extra[i + 1]}\r\n`;
  head += `content-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  return Buffer.from(`${head}connection: close\r\n\r\n${body}`);
}
