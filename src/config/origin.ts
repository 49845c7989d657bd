/** Servers behind the edge: `10.0.1.5:8080`, `http://app:3000`, `https://api.internal`. */
import { createHash } from 'node:crypto';
import { AddressError, formatHostPort, parseHostPort } from './address.ts';

export interface Origin {
  /** Stable name: the same URL has the same id on every node and after every reload. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** `http://host:port`, normalised. */
  readonly url: string;
}

/** Parses the short form or a URL without path. Throws {@link AddressError}. */
export function parseOrigin(text: string): Origin {
  const match = /^(?:(https?):\/\/)?([^/?#@]+)(\/?)$/i.exec(text);
  if (match === null) {
    throw new AddressError(
      `"${text}" is not an origin: write HOST:PORT or http(s)://HOST[:PORT], without path or user`,
    );
  }
  const tls = match[1]?.toLowerCase() === 'https';
  const standard = match[1] === undefined ? undefined : tls ? 443 : 80;
  const { host, port } = parseHostPort(match[2] ?? '', standard);
  if (host === '') throw new AddressError(`"${text}" has no host`);
  if (port === 0) throw new AddressError(`"${text}": an origin cannot have port 0`);
  const url = `${tls ? 'https' : 'http'}://${formatHostPort({ host: host.toLowerCase(), port })}`;
  return { id: originId(url), host, port, tls, url };
}

/** Twelve hex digits of SHA-256: tells nothing of the address to whoever sees the cookie. */
function originId(url: string): string {
  return createHash('sha256').update(url).digest('hex').slice(0, 12);
}
