/**
 * The one spelling of a request path under which routes are matched. A core.
 *
 * A router and an origin that read one path differently make a hole: `/public/../admin` matches
 * `/public/*` here and is served as `/admin` there. So a path is brought into the form that every
 * reading agrees on, **that form is matched and, when it differs, sent to the origin**, and what
 * has no such form is refused:
 *
 * | sent by the client | matched and sent on |
 * |---|---|
 * | `/a/./b`, `/a/x/../b` | `/a/b` (RFC 3986 section 5.2.4) |
 * | `/%61`, `/%2e%2e/`, `/%c3%a9` | `/a`, as `/../`, `/%C3%A9` (RFC 3986 section 6.2.2) |
 * | `/../a`: above the root | refused |
 * | `/a%2f..%2fb`, `/a/..\b`, `/a/..;/b`: dot segments for some origins only | refused |
 * | `/100%`, `/%zz`, `/%00` | refused |
 * | `/a%2Fb`, `/a\b`, `/a;v=1/b` | unchanged: `%2F` within one segment is in honest use |
 * | `/a//b` | sent unchanged, matched as `/a/b` (see {@link mergedSlashes}) |
 *
 * Letters keep their case: an origin that ignores case must not rely on routes to keep paths apart.
 */

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;

/**
 * Gives the form described above, the same string when nothing is to be done (the usual case, one
 * scan), or `undefined` for a path that must be answered 400.
 * @param path Begins with `/`; without query.
 */
export function normalizedPath(path: string): string | undefined {
  if (path.charCodeAt(0) !== SLASH) return undefined;
  let isPlain = true;
  let previous = 0;
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i);
    if (c === PERCENT || c === BACKSLASH || (c === DOT && previous === SLASH)) {
      isPlain = false;
      break;
    }
    previous = c;
  }
  return isPlain ? path : resolved(path);
}

/** `/a//b///c` as `/a/b/c`. The same string when it has no empty segment. */
export function mergedSlashes(path: string): string {
  return path.indexOf('//') === -1 ? path : path.replace(/\/{2,}/g, '/');
}

function resolved(path: string): string | undefined {
  const decoded = decodedUnreserved(path);
  if (decoded === undefined) return undefined;
  const segments: string[] = [];
  let start = 1;
  for (;;) {
    const slash = decoded.indexOf('/', start);
    const isLast = slash === -1;
    const segment = decoded.slice(start, isLast ? decoded.length : slash);
    if (segment === '..') {
      if (segments.pop() === undefined) return undefined;
    } else if (segment !== '.') {
      if (hidesDotSegment(segment)) return undefined;
      segments.push(segment);
    }
    if (isLast) {
      const isDirectory = segment === '.' || segment === '..';
      const joined = segments.join('/');
      return isDirectory && segments.length !== 0 ? `/${joined}/` : `/${joined}`;
    }
    start = slash + 1;
  }
}

/** Decodes what RFC 3986 calls unreserved, writes all other escapes in capitals. */
function decodedUnreserved(path: string): string | undefined {
  let from = 0;
  let text = '';
  for (let at = path.indexOf('%'); at !== -1; at = path.indexOf('%', from)) {
    const high = hexDigit(path.charCodeAt(at + 1));
    const low = hexDigit(path.charCodeAt(at + 2));
    // A stray % could become a new escape once its neighbours are decoded: `%%32e`.
    if (high === -1 || low === -1) return undefined;
    const code = high * 16 + low;
    if (code === 0) return undefined;
    text += path.slice(from, at);
    text += isUnreserved(code) ? String.fromCharCode(code) : path.slice(at, at + 3).toUpperCase();
    from = at + 3;
  }
  return from === 0 ? path : text + path.slice(from);
}

/** True when an origin that takes `%2F`, `\`, `%5C` for a slash, or cuts at `;`, sees `.` or `..`. */
function hidesDotSegment(segment: string): boolean {
  if (segment.indexOf('.') === -1) return false;
  let start = 0;
  for (let i = 0; i <= segment.length; i++) {
    const width = separatorWidth(segment, i);
    if (width === 0) continue;
    if (isDotPart(segment, start, i)) return true;
    start = i + width;
    i = start - 1;
  }
  return false;
}

/** Characters that a separator takes up at `i`; 1 at the end, 0 when there is none. */
function separatorWidth(segment: string, i: number): number {
  if (i === segment.length) return 1;
  const c = segment.charCodeAt(i);
  if (c === BACKSLASH) return 1;
  if (c !== PERCENT) return 0;
  return segment.startsWith('%2F', i) || segment.startsWith('%5C', i) ? 3 : 0;
}

function isDotPart(segment: string, start: number, end: number): boolean {
  let i = start;
  while (i < end && segment.charCodeAt(i) === DOT) i++;
  const dots = i - start;
  if (dots === 0 || dots > 2) return false;
  return i === end || segment.charCodeAt(i) === 0x3b || segment.startsWith('%3B', i);
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function isUnreserved(c: number): boolean {
  const lower = c | 0x20;
  if (lower >= 0x61 && lower <= 0x7a) return true;
  return (c >= 0x30 && c <= 0x39) || c === 0x2d || c === DOT || c === 0x5f || c === 0x7e;
}
