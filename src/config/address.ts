/**
 * Addresses as users write them: `:8080`, `127.0.0.1:8080`, `[2001:db8::10]:443`, `http://app:3000`.
 * A core: no IO, no name resolution.
 */
import { isIP, isIPv6 } from 'node:net';

/** A place to listen on or connect to. `host` carries no brackets; an empty host means every address. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export class AddressError extends Error {}

/** Parses `host:port`. IPv6 hosts need brackets. Throws {@link AddressError} with the mend in its text. */
export function parseHostPort(text: string, defaultPort?: number): HostPort {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) {
    const mend = isIPv6(text) ? `write [${text}]:PORT` : 'write HOST:PORT or [IPV6]:PORT';
    throw new AddressError(`"${text}" is not an address: ${mend}`);
  }
  const host = match[1] ?? match[2] ?? '';
  if (match[1] !== undefined && !isIPv6(host)) {
    throw new AddressError(`"${host}" in brackets is not an IPv6 address`);
  }
  if (/^[\d.]+$/.test(host) && isIP(host) === 0) {
    throw new AddressError(`"${host}" is not an IPv4 address`);
  }
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port === undefined) throw new AddressError(`"${text}" has no port: write ${text}:PORT`);
  if (port > 65_535) throw new AddressError(`port ${port} is above 65535`);
  return { host, port };
}

/** Writes `host:port`, with brackets around IPv6. */
export function formatHostPort(address: HostPort): string {
  return isIPv6(address.host)
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}
