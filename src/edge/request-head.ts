/**
 * Writes the head of a request to an origin. A core, and the last place at which a request could be
 * split in two: no CR, LF, NUL or other control character passes, nor a character beyond Latin-1,
 * whose lower byte might be one of those.
 */

/** A character that must not be sent. Nothing was written. */
export class RequestHeadError extends Error {
  readonly code = 'ERR_REQUEST_HEAD';
}

export interface RequestLine {
  readonly method: string;
  /** Path and query, or `*`. */
  readonly target: string;
  /** Flat list: name, value, name, value. Without hop-by-hop fields. */
  readonly headers: readonly string[];
  /** Value of `Host`, unless the list begins with one. */
  readonly authority: string;
  /** 'length': the list has a Content-Length. */
  readonly body: 'none' | 'length' | 'chunked';
  readonly isUpgrade: boolean;
}

const notInToken = /[^!#$%&'*+.^_`|~0-9A-Za-z-]/;
const notInTarget = /[^\x21-\x7e\x80-\xff]/;
const notInValue = /[^\t\x20-\x7e\x80-\xff]/;

/** A whole head, to be written as Latin-1. Throws {@link RequestHeadError}. */
export function requestHead(line: RequestLine): string {
  const { method, target, headers } = line;
  if (method === '' || notInToken.test(method)) throw bad('the method', method);
  if (target === '' || notInTarget.test(target)) throw bad('the target', target);
  let head = `${method} ${target} HTTP/1.1\r\n`;
  if (headers[0] !== 'host') {
    if (notInValue.test(line.authority)) throw bad('the host', line.authority);
    head += `host: ${line.authority}\r\n`;
  }
  let hasLength = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (name === '' || notInToken.test(name)) throw bad('a field name', name);
    if (notInValue.test(value)) throw bad(`the field ${name}`, value);
    if (name.length === 14 && name.toLowerCase() === 'content-length') hasLength = true;
    head += `${name}: ${value}\r\n`;
  }
  if (line.isUpgrade) return `${head}connection: upgrade\r\nupgrade: websocket\r\n\r\n`;
  if (line.body === 'chunked') return `${head}transfer-encoding: chunked\r\n\r\n`;
  // RFC 9110, 8.6: these are expected to have a body; many origins answer 411 to silence.
  if (!hasLength && (method === 'POST' || method === 'PUT' || method === 'PATCH')) {
    return `${head}content-length: 0\r\n\r\n`;
  }
  return `${head}\r\n`;
}

function bad(what: string, text: string): RequestHeadError {
  return new RequestHeadError(
    `${what} has a character that must not be sent: ${JSON.stringify(text.slice(0, 80))}`,
  );
}
