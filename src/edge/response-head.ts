/**
 * Reads the head of an answer: status line and fields (RFC 9112, 4 and 5). A core. Anything that two
 * readers could read differently is a fault: an origin that is not understood exactly could make the
 * edge give one client's answer to another ("response splitting", "response-queue poisoning").
 *
 * Refused: other versions than HTTP/1.0 and 1.1, status outside 100–599, bare CR or LF, folded lines,
 * white space before the colon, names that are no tokens, control characters, a second or inexact
 * `Content-Length`, it together with `Transfer-Encoding`, codings other than one `chunked`,
 * `Transfer-Encoding` in HTTP/1.0, and a `Connection` that names a framing field. One thing is
 * tolerated because it has one meaning: a status line without the space before a missing reason.
 */

const HT = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const COLON = 0x3a;
const DIGIT_0 = 0x30;

/** What {@link ResponseHead.read} gives when more bytes are needed. */
export const INCOMPLETE = -1;
/** What {@link ResponseHead.read} gives when `fault` says what is wrong. */
export const FAULTY = -2;

/** Fields of one head. */
export const FIELDS_MAX = 256;

const PREFIX = 'HTTP/1.';

/** RFC 9110, 5.6.2. */
const TOKEN = new Uint8Array(256);
for (const c of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[c.charCodeAt(0)] = 1;
}
/** RFC 9110, 5.5: visible characters, obs-text, space and tab. */
const TEXT = new Uint8Array(256).fill(1, SP).fill(0, 0x7f, 0x80);
TEXT[HT] = 1;

export function isTokenByte(byte: number): boolean {
  return TOKEN[byte] === 1;
}

export function isTextByte(byte: number): boolean {
  return TEXT[byte] === 1;
}

/** One of these serves a connection for its whole life; every `read` starts anew. */
export class ResponseHead {
  /** 0 or 1, of HTTP/1.x. */
  minor = 1;
  status = 0;
  reason = '';
  /** Name, value, name, value; as the origin sent them, in Latin-1. */
  headers: string[] = [];
  /** -1 when there is none. */
  contentLength = -1;
  isChunked = false;
  /** The origin will take another request on this connection (RFC 9112, 9.3). */
  keepsAlive = true;
  /** How long the origin says it keeps an idle connection, seconds; -1 when it does not say. */
  keepAliveS = -1;
  /** Value of `Upgrade` in lower case. */
  upgrade = '';
  fault = '';
  #saysClose = false;
  #saysKeepAlive = false;
  #lastKeepAlive = '';
  #lastKeepAliveS = -1;

  /**
   * @param text Bytes as Latin-1, from the first byte of the head on.
   * Gives the length of the head, {@link INCOMPLETE} or {@link FAULTY}. A fault may be found before
   * the head is complete.
   */
  read(text: string): number {
    this.headers = [];
    this.contentLength = -1;
    this.isChunked = false;
    this.keepAliveS = -1;
    this.upgrade = '';
    this.#saysClose = false;
    this.#saysKeepAlive = false;
    const first = this.#readStatusLine(text);
    if (first < 0) return first;
    const end = this.#readFields(text, first);
    if (end < 0) return end;
    if (this.isChunked) {
      if (this.contentLength >= 0) return this.#bad('both Content-Length and Transfer-Encoding');
      if (this.minor === 0) return this.#bad('Transfer-Encoding in an HTTP/1.0 answer');
    }
    this.keepsAlive = !this.#saysClose && (this.minor === 1 || this.#saysKeepAlive);
    return end;
  }

  #readStatusLine(text: string): number {
    const length = text.length;
    for (let i = 0; i < PREFIX.length; i++) {
      if (i === length) return INCOMPLETE;
      if (text.charCodeAt(i) !== PREFIX.charCodeAt(i)) return this.#bad('not an HTTP/1 answer');
    }
    if (length < 13) return INCOMPLETE;
    const minor = text.charCodeAt(7) - DIGIT_0;
    if (minor !== 0 && minor !== 1) return this.#bad('a version other than HTTP/1.0 and HTTP/1.1');
    this.minor = minor;
    const hundreds = text.charCodeAt(9) - DIGIT_0;
    const tens = text.charCodeAt(10) - DIGIT_0;
    const ones = text.charCodeAt(11) - DIGIT_0;
    if (text.charCodeAt(8) !== SP || !isDigit(hundreds) || !isDigit(tens) || !isDigit(ones)) {
      return this.#bad('a malformed status line');
    }
    this.status = hundreds * 100 + tens * 10 + ones;
    if (this.status < 100 || this.status > 599) return this.#bad('a status outside 100 to 599');
    if (text.charCodeAt(12) === CR) {
      this.reason = '';
      return this.#lineEnd(text, 12);
    }
    if (text.charCodeAt(12) !== SP) return this.#bad('a malformed status line');
    let at = 13;
    while (at < length && TEXT[text.charCodeAt(at)] === 1) at++;
    this.reason = text.slice(13, at);
    return this.#lineEnd(text, at);
  }

  #readFields(text: string, first: number): number {
    const length = text.length;
    const headers = this.headers;
    let at = first;
    for (;;) {
      if (at === length) return INCOMPLETE;
      if (text.charCodeAt(at) === CR) return this.#lineEnd(text, at);
      if (headers.length === 2 * FIELDS_MAX) return this.#bad(`more than ${FIELDS_MAX} fields`);
      const nameStart = at;
      while (at < length && TOKEN[text.charCodeAt(at)] === 1) at++;
      if (at === length) return INCOMPLETE;
      if (at === nameStart || text.charCodeAt(at) !== COLON) return this.#bad('a malformed field');
      const name = text.slice(nameStart, at);
      at++;
      while (at < length && isBlank(text.charCodeAt(at))) at++;
      const valueStart = at;
      while (at < length && TEXT[text.charCodeAt(at)] === 1) at++;
      let valueEnd = at;
      while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--;
      at = this.#lineEnd(text, at);
      if (at < 0) return at;
      const value = text.slice(valueStart, valueEnd);
      headers.push(name, value);
      if (!this.#note(name, value)) return FAULTY;
    }
  }

  /** The position behind CR LF. */
  #lineEnd(text: string, at: number): number {
    if (at === text.length) return INCOMPLETE;
    if (text.charCodeAt(at) !== CR) return this.#bad('a control character');
    if (at + 1 === text.length) return INCOMPLETE;
    return text.charCodeAt(at + 1) === LF ? at + 2 : this.#bad('a bare CR');
  }

  /** Takes from a field what decides about framing and the connection. False is a fault. */
  #note(name: string, value: string): boolean {
    switch (name.length) {
      case 7:
        if (same(name, 'upgrade')) this.upgrade = value.toLowerCase();
        return true;
      case 10:
        if (same(name, 'connection')) return this.#noteConnection(value);
        if (same(name, 'keep-alive')) this.#noteKeepAlive(value);
        return true;
      case 14:
        return !same(name, 'content-length') || this.#noteContentLength(value);
      case 17:
        if (!same(name, 'transfer-encoding')) return true;
        if (this.isChunked || !same(value, 'chunked')) {
          this.#bad('a Transfer-Encoding other than chunked');
          return false;
        }
        this.isChunked = true;
        return true;
    }
    return true;
  }

  #noteContentLength(value: string): boolean {
    let length = 0;
    if (this.contentLength >= 0 || value.length === 0 || value.length > 16) length = -1;
    for (let i = 0; i < value.length && length >= 0; i++) {
      const digit = value.charCodeAt(i) - DIGIT_0;
      length = isDigit(digit) ? length * 10 + digit : -1;
    }
    if (length < 0 || length > Number.MAX_SAFE_INTEGER) {
      this.#bad(this.contentLength >= 0 ? 'more than one Content-Length' : 'a bad Content-Length');
      return false;
    }
    this.contentLength = length;
    return true;
  }

  #noteConnection(value: string): boolean {
    // The values of nearly every answer.
    if (value === 'keep-alive' || value === 'Keep-Alive') this.#saysKeepAlive = true;
    else if (value === 'close') this.#saysClose = true;
    else {
      for (const part of value.split(',')) {
        const token = part.trim().toLowerCase();
        if (token === 'close') this.#saysClose = true;
        else if (token === 'keep-alive') this.#saysKeepAlive = true;
        else if (token === 'content-length' || token === 'transfer-encoding') {
          this.#bad('a Connection field that names a framing field');
          return false;
        }
      }
    }
    return true;
  }

  /** The same connection says the same again and again. */
  #noteKeepAlive(value: string): void {
    if (value !== this.#lastKeepAlive) {
      const seconds = /(?:^|[\s,])timeout\s*=\s*"?(\d{1,9})/i.exec(value)?.[1];
      this.#lastKeepAlive = value;
      this.#lastKeepAliveS = seconds === undefined ? -1 : Number(seconds);
    }
    this.keepAliveS = this.#lastKeepAliveS;
  }

  #bad(fault: string): typeof FAULTY {
    this.fault = fault;
    return FAULTY;
  }
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}

function isBlank(c: number): boolean {
  return c === SP || c === HT;
}

function same(text: string, lower: string): boolean {
  return text === lower || (text.length === lower.length && text.toLowerCase() === lower);
}
