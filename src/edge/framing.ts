/**
 * What makes a request ambiguous, so that two servers could read it differently ("request
 * smuggling"). An ambiguous request is refused with 400 and its connection closed, never repaired.
 *
 * Runs behind node's own parser (llhttp, strict), which already refuses bare LF, obs-fold, NUL,
 * white space before a colon, bad chunk sizes and Content-Length beside Transfer-Encoding. What it
 * lets through is decided here; rules that both know are kept, so that this file alone is enough
 * behind any other parser that gives raw header pairs.
 *
 * A core. One pass, no allocation for a request without fault.
 */

const HT = 0x09;
const SP = 0x20;
const COMMA = 0x2c;
const COLON = 0x3a;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/** 2^53 − 1: the largest body length that a JavaScript number still counts exactly. */
const CONTENT_LENGTH_MAX = Number.MAX_SAFE_INTEGER;
const CONTENT_LENGTH_DIGITS_MAX = 16;

/** Letters, digits, `.`, `-` and `_`: all that DNS names in use need. Not RFC 3986's whole reg-name. */
const HOST_CHARACTER = characterTable(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_',
);
const IPV6_CHARACTER = characterTable('ABCDEFabcdef0123456789:.');

function characterTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1;
  return table;
}

/**
 * Says why a request head must be refused with 400 (RFC 9112 section 3.2, 6.1, 6.3; RFC 9110
 * section 7.6.1), or `undefined` when it is sound.
 * @param httpVersionMinor 0 or 1, of HTTP/1.x.
 * @param rawHeaders Names and values in turn, as `IncomingMessage.rawHeaders`.
 */
export function requestFramingFault(
  httpVersionMinor: number,
  rawHeaders: readonly string[],
): string | undefined {
  let hasHost = false;
  let hasContentLength = false;
  let hasTransferEncoding = false;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    if (hasControl(value)) return 'control character in a header value';
    let fault: string | undefined;
    switch (name.length) {
      case 4:
        if (!equalsLowerCase(name, 0, 4, 'host')) continue;
        // RFC 9112 3.2: more than one Host must be answered with 400.
        if (hasHost) return 'more than one Host header';
        hasHost = true;
        fault = hostFault(value);
        break;
      case 10:
        if (equalsLowerCase(name, 0, 10, 'connection')) fault = connectionFault(value);
        break;
      case 14:
        if (!equalsLowerCase(name, 0, 14, 'content-length')) continue;
        // RFC 9112 6.3 lets equal ones be merged. Who merges and who takes the first is the trick.
        if (hasContentLength) return 'more than one Content-Length header';
        hasContentLength = true;
        fault = contentLengthFault(value);
        break;
      case 17:
        if (!equalsLowerCase(name, 0, 17, 'transfer-encoding')) continue;
        if (hasTransferEncoding) return 'more than one Transfer-Encoding header';
        hasTransferEncoding = true;
        // RFC 9112 6.1: only `chunked` frames a request, and this edge speaks no other coding.
        if (value.length !== 7 || !equalsLowerCase(value, 0, 7, 'chunked')) {
          fault = 'Transfer-Encoding other than chunked';
        }
        break;
    }
    if (fault !== undefined) return fault;
  }
  if (hasTransferEncoding) {
    // RFC 9112 6.3 point 3: a request with both "ought to be handled as an error".
    if (hasContentLength) return 'both Content-Length and Transfer-Encoding';
    // RFC 9112 6.1: HTTP/1.0 has no Transfer-Encoding; its framing is faulty.
    if (httpVersionMinor === 0) return 'Transfer-Encoding in an HTTP/1.0 request';
  }
  if (!hasHost && httpVersionMinor !== 0) return 'no Host header';
  return undefined;
}

/**
 * Says why a request that asks for an upgrade must be refused: a body, whose bytes would be taken
 * for the first bytes of the tunnel. `undefined` when it has none. Checks nothing else: call
 * {@link requestFramingFault} too.
 */
export function upgradeFramingFault(rawHeaders: readonly string[]): string | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 17 && equalsLowerCase(name, 0, 17, 'transfer-encoding')) {
      return 'an upgrade request with Transfer-Encoding';
    }
    if (name.length === 14 && equalsLowerCase(name, 0, 14, 'content-length')) {
      if (Number(rawHeaders[i + 1]) !== 0) return 'an upgrade request with a body';
    }
  }
  return undefined;
}

/**
 * Says why a request target must be refused (RFC 9112 section 3.2), or `undefined`. Accepted are
 * the origin form (`/path?query`), the absolute form when it names the same host and port as the
 * Host header, and `*` for OPTIONS. CONNECT has no place at a reverse proxy.
 */
export function requestTargetFault(
  method: string,
  target: string,
  host: string | undefined,
): string | undefined {
  if (target.indexOf('#') !== -1) return 'fragment in the request target';
  if (target.charCodeAt(0) === 0x2f) return method === 'CONNECT' ? 'CONNECT' : undefined;
  if (method === 'CONNECT') return 'CONNECT';
  if (target === '*') return method === 'OPTIONS' ? undefined : '* as target of another method';
  const authority = authorityOf(target);
  if (authority === undefined) return 'request target is not a path';
  if (hostFault(authority) !== undefined) return 'invalid host in the request target';
  // RFC 9112 3.2.2 would let the target win over Host. Two names in one request is a trick.
  if (host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return 'request target and Host header name different hosts';
  }
  return undefined;
}

/**
 * The path and query of a target that {@link requestTargetFault} found sound: `http://a/x?y` gives
 * `/x?y`, an origin form or `*` is given back unchanged.
 */
export function originForm(target: string): string {
  const first = target.charCodeAt(0);
  if (first === 0x2f || target === '*') return target;
  const start = target.indexOf('://');
  if (start === -1) return target;
  const end = authorityEnd(target, start + 3);
  const rest = target.slice(end);
  return rest.charCodeAt(0) === 0x2f ? rest : `/${rest}`;
}

/** The host and port named in an absolute form, `undefined` for any other form. */
export function authorityOf(target: string): string | undefined {
  const start = target.indexOf('://');
  if (start !== 4 && start !== 5) return undefined;
  if (!equalsLowerCase(target, 0, start, start === 4 ? 'http' : 'https')) return undefined;
  return target.slice(start + 3, authorityEnd(target, start + 3));
}

function authorityEnd(target: string, start: number): number {
  for (let i = start; i < target.length; i++) {
    const c = target.charCodeAt(i);
    if (c === 0x2f || c === 0x3f) return i;
  }
  return target.length;
}

/**
 * Says why a Host value is invalid, or `undefined`: it must be `name`, `name:port`, `1.2.3.4` or
 * `[v6]`, with an optional port (RFC 9110 section 7.2). User info, path, white space, lists,
 * percent-encoding and other characters that no host in use needs are refused.
 */
export function hostFault(value: string): string | undefined {
  let i = 0;
  if (value.charCodeAt(0) === 0x5b) {
    const end = value.indexOf(']');
    if (end < 3) return 'invalid IPv6 address in the Host header';
    for (i = 1; i < end; i++) {
      if (IPV6_CHARACTER[value.charCodeAt(i)] !== 1)
        return 'invalid IPv6 address in the Host header';
    }
    i = end + 1;
  } else {
    while (i < value.length && HOST_CHARACTER[value.charCodeAt(i)] === 1) i++;
    if (i === 0) return value === '' ? 'empty Host header' : 'invalid character in the Host header';
  }
  if (i === value.length) return undefined;
  if (value.charCodeAt(i) !== COLON) return 'invalid character in the Host header';
  let port = 0;
  for (i++; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c < DIGIT_0 || c > DIGIT_9) return 'invalid port in the Host header';
    port = port * 10 + (c - DIGIT_0);
    if (port > 65_535) return 'invalid port in the Host header';
  }
  return undefined;
}

function contentLengthFault(value: string): string | undefined {
  if (value.length === 0) return 'empty Content-Length';
  if (value.length > CONTENT_LENGTH_DIGITS_MAX) return 'Content-Length too large';
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i);
    if (c < DIGIT_0 || c > DIGIT_9) return 'Content-Length is not a number';
  }
  return Number(value) > CONTENT_LENGTH_MAX ? 'Content-Length too large' : undefined;
}

/**
 * RFC 9110 7.6.1: every header that Connection names is removed by the next hop. One that names the
 * framing or the Host makes the hop behind us read another message than we did.
 */
function connectionFault(value: string): string | undefined {
  // The two values of nearly every request.
  if (value === 'keep-alive' || value === 'close') return undefined;
  let start = 0;
  while (start < value.length) {
    let end = value.indexOf(',', start);
    if (end === -1) end = value.length;
    const next = end + 1;
    while (start < end && isBlank(value.charCodeAt(start))) start++;
    while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
    const length = end - start;
    if (
      (length === 4 && equalsLowerCase(value, start, end, 'host')) ||
      (length === 14 && equalsLowerCase(value, start, end, 'content-length')) ||
      (length === 17 && equalsLowerCase(value, start, end, 'transfer-encoding'))
    ) {
      return 'Connection header that names a framing header';
    }
    start = next;
  }
  return undefined;
}

/** NUL, and CR or LF left over from a folded line. Searches of the engine beat a loop of ours 2:1. */
function hasControl(value: string): boolean {
  return value.indexOf('\n') !== -1 || value.indexOf('\r') !== -1 || value.indexOf('\0') !== -1;
}

function isBlank(c: number): boolean {
  return c === SP || c === HT || c === COMMA;
}

/** Compares a part of `text` with `lower` (given in lower case), ASCII letters in any case. */
function equalsLowerCase(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const c = text.charCodeAt(start + i);
    const expected = lower.charCodeAt(i);
    if (c === expected) continue;
    if (c < 0x41 || c > 0x5a || c + 32 !== expected) return false;
  }
  return true;
}
