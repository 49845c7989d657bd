/** The cookie that keeps a browser at the origin it was first given. A core. */
import type { StickyConfig } from '../config/schema.ts';

export class StickyCookie {
  readonly #name: string;
  readonly #maxAgeS: number;

  constructor(config: StickyConfig) {
    this.#name = config.cookie;
    this.#maxAgeS = config.maxAgeS;
  }

  /** The origin's id that a Cookie header names, not yet known to exist. */
  originId(cookieHeader: string | undefined): string | undefined {
    return cookieValue(cookieHeader, this.#name);
  }

  /**
   * The value of a Set-Cookie header that names an origin (RFC 6265 section 4.1). HttpOnly: no
   * script needs it. SameSite=Lax: links from other sites keep their origin too.
   * @param secure True when the client came over TLS.
   */
  setCookie(originId: string, secure: boolean): string {
    const maxAge = this.#maxAgeS > 0 ? `; Max-Age=${this.#maxAgeS}` : '';
    const flags = secure ? '; Secure' : '';
    return `${this.#name}=${originId}; Path=/; HttpOnly; SameSite=Lax${maxAge}${flags}`;
  }
}

/**
 * The first value of a cookie in a Cookie header (RFC 6265 section 4.2), without quotes around it;
 * `undefined` when it is missing. Several Cookie headers must be joined with `; ` before.
 */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + 1)) {
    const equals = at + name.length;
    if (header.charCodeAt(equals) !== 0x3d || !beginsPair(header, at)) continue;
    let start = equals + 1;
    let end = header.indexOf(';', start);
    if (end === -1) end = header.length;
    while (end > start && isBlank(header.charCodeAt(end - 1))) end--;
    if (
      end - start >= 2 &&
      header.charCodeAt(start) === 0x22 &&
      header.charCodeAt(end - 1) === 0x22
    ) {
      start++;
      end--;
    }
    return header.slice(start, end);
  }
  return undefined;
}

function beginsPair(header: string, at: number): boolean {
  let i = at - 1;
  while (i >= 0 && isBlank(header.charCodeAt(i))) i--;
  return i < 0 || header.charCodeAt(i) === 0x3b;
}

function isBlank(c: number): boolean {
  return c === 0x20 || c === 0x09;
}
