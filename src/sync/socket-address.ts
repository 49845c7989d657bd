import { isIPv4, isIPv6 } from 'node:net';

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** `192.0.2.1:7946`, `[2001:db8::1]:7946`; IP addresses only. @returns `undefined` for others. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.%a-z]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65_535) return undefined;
  if (match[1] !== undefined && isIPv6(match[1])) return { host: match[1], port, family: 6 };
  if (match[2] !== undefined && isIPv4(match[2])) return { host: match[2], port, family: 4 };
  return undefined;
}

export function socketAddressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
