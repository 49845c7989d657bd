/** What went wrong between the edge and an origin, in the edge's own words. A core. */
import { type Refusal, refusals } from './refusal.ts';

export interface OriginFault {
  /** The answer for the client, if no other origin can be tried. */
  readonly refusal: Refusal;
  /** The origin is to blame: counts towards its ejection. */
  readonly blames: boolean;
  /** For the log. */
  readonly detail: string;
}

/** The origin did not answer within `timeouts.headersMs`. */
export class OriginTimeout extends Error {
  readonly code = 'ERR_ORIGIN_TIMEOUT';
}

/** No connection within `timeouts.connectMs`. Nothing was sent. */
export class OriginConnectTimeout extends Error {
  readonly code = 'ERR_ORIGIN_CONNECT_TIMEOUT';
}

/** The origin ended the connection before its answer was complete. */
export class OriginClosed extends Error {
  readonly code = 'ERR_ORIGIN_CLOSED';
}

/** The origin sent something that is not HTTP/1.1, or not what was asked for. */
export class OriginProtocolError extends Error {
  readonly code = 'ERR_ORIGIN_PROTOCOL';
}

/**
 * @param error of the classes above, or as node gives it.
 * @param sent whether the request had begun to be written to the origin.
 */
export function originFault(error: Error, sent: boolean): OriginFault {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const detail = error.message.includes(code) ? error.message : `${code}: ${error.message}`;
  switch (code) {
    case 'ERR_BODY_SIZE':
      return { refusal: refusals.largeBody, blames: false, detail };
    case 'ERR_REQUEST_HEAD':
      return { refusal: refusals.framing, blames: false, detail };
    case 'ERR_ORIGIN_CONNECT_TIMEOUT':
      return { refusal: refusals.originConnectTimeout, blames: true, detail };
    case 'ETIMEDOUT':
      return {
        refusal: sent ? refusals.originSlow : refusals.originConnectTimeout,
        blames: true,
        detail,
      };
    case 'ERR_ORIGIN_TIMEOUT':
      return { refusal: refusals.originSlow, blames: true, detail };
    case 'ERR_ORIGIN_CLOSED':
    case 'ECONNRESET':
    case 'EPIPE':
      return {
        refusal: sent ? refusals.originClosed : refusals.originConnect,
        blames: true,
        detail,
      };
  }
  return { refusal: sent ? refusals.originProtocol : refusals.originConnect, blames: true, detail };
}
