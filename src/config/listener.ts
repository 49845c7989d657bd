/** Addresses to listen on: `:8080`, `192.0.2.10:443`, `https://[2001:db8::10]:8443`. */
import { AddressError, formatHostPort, parseHostPort } from './address.ts';
import type { Cidr } from './cidr.ts';

export interface Listener {
  /** Without brackets; empty means every IPv4 and IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** True for `https://`, and for port 443 when no scheme is written. */
  readonly tls: boolean;
  /** Peers that must speak PROXY protocol here. */
  readonly proxyProtocolFrom: readonly Cidr[];
}

/** Parses the short form. Throws {@link AddressError}. */
export function parseListener(text: string, defaultPort?: number): Listener {
  const match = /^(?:(https?):\/\/)?(.*?)\/?$/i.exec(text);
  const scheme = match?.[1]?.toLowerCase();
  const standard = scheme === 'https' ? 443 : scheme === 'http' ? 80 : undefined;
  const { host, port } = parseHostPort(match?.[2] ?? text, defaultPort ?? standard);
  if (host !== '' && !/^[0-9a-fA-F.:]+$/.test(host) && host !== 'localhost') {
    throw new AddressError(`"${host}" is not an IP address: listeners are not looked up by name`);
  }
  const tls = scheme === undefined ? port === 443 : scheme === 'https';
  return { host, port, tls, proxyProtocolFrom: [] };
}

/** The one spelling of a listener, used as its identity. */
export function formatListener(listener: Listener): string {
  return `${listener.tls ? 'https' : 'http'}://${formatHostPort(listener)}`;
}
