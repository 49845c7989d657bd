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

/**
 * @param error as undici or node gives it.
 * @param sent whether the request had begun to be written to the origin.
 */
export function originFault(error: Error, sent: boolean): OriginFault {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const detail = code === '' ? error.message : `${code}: ${error.message}`;
  switch (code) {
    case 'ERR_BODY_SIZE':
      return { refusal: refusals.largeBody, blames: false, detail };
    case 'ERR_CLIENT_GONE':
      return { refusal: refusals.internal, blames: false, detail };
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return { refusal: refusals.originConnectTimeout, blames: true, detail };
    case 'ERR_ORIGIN_TIMEOUT':
      return { refusal: refusals.originSlow, blames: true, detail };
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
    case 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH':
      return { refusal: refusals.framing, blames: false, detail };
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return {
        refusal: sent ? refusals.originClosed : refusals.originConnect,
        blames: true,
        detail,
      };
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'ERR_INVALID_CHAR':
    case 'ERR_HTTP_INVALID_STATUS_CODE':
      return { refusal: refusals.originProtocol, blames: true, detail };
  }
  if (code.startsWith('HPE_')) return { refusal: refusals.originProtocol, blames: true, detail };
  return { refusal: sent ? refusals.originProtocol : refusals.originConnect, blames: true, detail };
}
