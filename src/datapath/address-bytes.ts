/** Addresses as the kernel programs hold them: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type FlowKey, KEY_WORDS, readKey } from '../proto/ticket-key.ts';
import { DatapathError } from './datapath-error.ts';
import { KEY } from './layout.ts';

/** Writes the address at `at`. @throws DatapathError when `text` is no IP address. */
export function writeAddress(text: string, bytes: Uint8Array, at: number): void {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) {
    throw new DatapathError('ERR_DATAPATH_ARGUMENT', `"${text}" is not an IP address`);
  }
  const parsed = ipaddr.parse(text);
  const full = parsed.kind() === 'ipv4' ? (parsed as ipaddr.IPv4).toIPv4MappedAddress() : parsed;
  bytes.set(full.toByteArray(), at);
}

/** The address at `at` as people write it. */
export function addressText(bytes: Uint8Array, at: number): string {
  const address = ipaddr.fromByteArray([...bytes.subarray(at, at + 16)]) as ipaddr.IPv6;
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toString();
}

/** The one way to write an address, for comparing. */
export function canonicalAddress(text: string): string {
  const bytes = new Uint8Array(16);
  writeAddress(text, bytes, 0);
  return addressText(bytes, 0);
}

/** Whether the text is an IPv6 address (and not a mapped IPv4 one). */
export function isIPv6Text(text: string): boolean {
  return isIP(canonicalAddress(text)) === 6;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** The key of a flow, from its two ends. */
export function flowKey(client: Endpoint, vip: Endpoint): FlowKey {
  const bytes = new Uint8Array(KEY.bytes);
  writeAddress(client.address, bytes, KEY.client);
  writeAddress(vip.address, bytes, KEY.vip);
  writePort(client.port, bytes, KEY.client_port);
  writePort(vip.port, bytes, KEY.vip_port);
  const key = new Uint32Array(KEY_WORDS);
  readKey(bytes, 0, key);
  return key;
}

/** The two ends of a flow, from its key. */
export function flowEnds(key: FlowKey): { client: Endpoint; vip: Endpoint } {
  const bytes = new Uint8Array(key.buffer, key.byteOffset, KEY.bytes);
  return {
    client: { address: addressText(bytes, KEY.client), port: readPort(bytes, KEY.client_port) },
    vip: { address: addressText(bytes, KEY.vip), port: readPort(bytes, KEY.vip_port) },
  };
}

/** Writes a port in network order. */
export function writePort(port: number, bytes: Uint8Array, at: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new DatapathError('ERR_DATAPATH_ARGUMENT', `${port} is not a port`);
  }
  bytes[at] = port >>> 8;
  bytes[at + 1] = port;
}

function readPort(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
