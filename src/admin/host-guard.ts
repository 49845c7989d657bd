/**
 * Who may talk to the admin server. It asks for no password: being on this machine is the proof.
 * A web page must not borrow that proof through a visitor's browser. A core without IO.
 */
import { parseHostPort } from '../config/address.ts';
import { isLoopback } from '../config/checks.ts';

export interface RequestFacts {
  readonly method: string;
  /** Host header; `undefined` when there is none. */
  readonly host: string | undefined;
  /** Origin header: browsers send it with every POST. */
  readonly origin: string | undefined;
}

/**
 * The reason to refuse a request, or `undefined`.
 *
 * On a loopback address a Host that is neither loopback nor the configured address comes from a
 * name that was pointed at this machine (DNS rebinding). Elsewhere the server's names are not
 * known, and the Host is not looked at.
 */
export function refusalOf(request: RequestFacts, boundHost: string): string | undefined {
  if (request.origin !== undefined && request.method !== 'GET' && request.method !== 'HEAD') {
    return 'requests from web pages are refused';
  }
  if (!isLoopback(boundHost)) return undefined;
  const host = hostOf(request.host);
  if (host === undefined) return 'the Host header is missing or broken';
  if (isLoopback(host) || host === boundHost) return undefined;
  return `the Host header names ${JSON.stringify(host)}: use 127.0.0.1, [::1] or localhost`;
}

function hostOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  try {
    return parseHostPort(header.toLowerCase(), 80).host;
  } catch {
    return undefined;
  }
}
