/**
 * PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt): who really
 * connected, told by a proxy in the first bytes of a connection. A core.
 */
import { addressOfBytes, canonicalAddress, mappedBytes } from './ip-text.ts';

export interface ProxyEndpoint {
  /** In its one spelling (RFC 5952); IPv4-mapped IPv6 addresses are given as IPv4. */
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
}

export type ProxyHeader =
  /** All bytes so far fit; more are needed. */
  | { readonly state: 'incomplete' }
  | { readonly state: 'invalid'; readonly reason: string }
  | {
      readonly state: 'done';
      /** Length of the header; what follows is the client's. */
      readonly bytes: number;
      /** Both are missing when the proxy speaks for itself (LOCAL) or does not know (UNKNOWN). */
      readonly source?: ProxyEndpoint;
      readonly destination?: ProxyEndpoint;
    };

/** Section 2.1: the longest line, its CRLF counted. */
const V1_BYTES_MAX = 107;
const V1_START = Buffer.from('PROXY ', 'latin1');
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_HEAD_BYTES = 16;
/** Addresses and TLVs. The format allows 64 KiB; real ones, with a TLS client's name, stay far below. */
const V2_LENGTH_MAX = 4_096;
const TLV_CRC32C = 0x03;

const INCOMPLETE: ProxyHeader = { state: 'incomplete' };

/** Parses the first bytes of a connection. Call again with more when it says `incomplete`. Never throws. */
export function parseProxyHeader(buffer: Buffer): ProxyHeader {
  if (buffer.length === 0) return INCOMPLETE;
  if (buffer[0] === V1_START[0]) return parseV1(buffer);
  if (buffer[0] === V2_SIGNATURE[0]) return parseV2(buffer);
  return invalid('does not begin with a PROXY protocol header');
}

function invalid(reason: string): ProxyHeader {
  return { state: 'invalid', reason };
}

function beginsLike(buffer: Buffer, start: Buffer): boolean {
  const length = Math.min(buffer.length, start.length);
  return buffer.compare(start, 0, length, 0, length) === 0;
}

/** `PROXY TCP4 192.0.2.1 198.51.100.2 51000 443\r\n` */
function parseV1(buffer: Buffer): ProxyHeader {
  if (!beginsLike(buffer, V1_START)) return invalid('does not begin with a PROXY protocol header');
  const head = buffer.subarray(0, V1_BYTES_MAX);
  const end = head.indexOf('\r\n', 0, 'latin1');
  if (end === -1) {
    return buffer.length >= V1_BYTES_MAX
      ? invalid(`v1 line longer than ${V1_BYTES_MAX} bytes`)
      : INCOMPLETE;
  }
  const bytes = end + 2;
  const words = head.toString('latin1', V1_START.length, end).split(' ');
  // Section 2.1: the receiver must ignore anything behind UNKNOWN.
  if (words[0] === 'UNKNOWN') return { state: 'done', bytes };
  const [family, from, to, fromPort, toPort] = words;
  if ((family !== 'TCP4' && family !== 'TCP6') || words.length !== 5) {
    return invalid('v1 line is not "PROXY TCP4|TCP6|UNKNOWN source destination port port"');
  }
  const source = v1Endpoint(family, from!, fromPort!);
  const destination = v1Endpoint(family, to!, toPort!);
  if (source === undefined || destination === undefined) {
    return invalid('v1 line with an invalid address or port');
  }
  return { state: 'done', bytes, source, destination };
}

function v1Endpoint(
  family: 'TCP4' | 'TCP6',
  text: string,
  portText: string,
): ProxyEndpoint | undefined {
  if (text.includes(':') !== (family === 'TCP6')) return undefined;
  const address = canonicalAddress(text);
  if (address === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(portText)) return undefined;
  const port = Number(portText);
  return port > 65_535 ? undefined : endpoint(address, port);
}

function endpoint(address: string, port: number): ProxyEndpoint {
  return { address, port, family: address.includes(':') ? 6 : 4 };
}

/**
 * ```
 *  0           12        13       14       16
 * ┌───────────┬─────────┬────────┬────────┬───────────────────────────┬──────┐
 * │ signature │ 2 | cmd │ family │ length │ addresses, ports (12, 36) │ TLVs │
 * └───────────┴─────────┴────────┴────────┴───────────────────────────┴──────┘
 * ```
 */
function parseV2(buffer: Buffer): ProxyHeader {
  if (!beginsLike(buffer, V2_SIGNATURE)) {
    return invalid('does not begin with a PROXY protocol header');
  }
  if (buffer.length < V2_HEAD_BYTES) return INCOMPLETE;
  const command = buffer[12]!;
  if (command !== 0x20 && command !== 0x21) return invalid('v2 with an unknown version or command');
  const length = buffer.readUInt16BE(14);
  if (length > V2_LENGTH_MAX) return invalid(`v2 header longer than ${V2_LENGTH_MAX} bytes`);
  const bytes = V2_HEAD_BYTES + length;
  if (buffer.length < bytes) return INCOMPLETE;
  // LOCAL: the proxy's own connection (a health check). Section 2.2: the rest is to be skipped.
  if (command === 0x20) return { state: 'done', bytes };
  const header = buffer.subarray(0, bytes);
  const family = header[13]!;
  const addressBytes = v2AddressBytes(family);
  if (addressBytes === undefined) return invalid('v2 with an unknown or datagram family');
  if (length < addressBytes) return invalid('v2 header too short for its addresses');
  const fault = tlvFault(header, V2_HEAD_BYTES + addressBytes);
  if (fault !== undefined) return invalid(fault);
  if (family !== 0x11 && family !== 0x21) return { state: 'done', bytes };
  const size = family === 0x11 ? 4 : 16;
  const ports = V2_HEAD_BYTES + 2 * size;
  const source = addressOfBytes(header.subarray(V2_HEAD_BYTES, V2_HEAD_BYTES + size));
  const destination = addressOfBytes(header.subarray(V2_HEAD_BYTES + size, ports));
  return {
    state: 'done',
    bytes,
    source: endpoint(source, header.readUInt16BE(ports)),
    destination: endpoint(destination, header.readUInt16BE(ports + 2)),
  };
}

function v2AddressBytes(family: number): number | undefined {
  switch (family) {
    case 0x00: // Unspecified: its address block, if any, is to be skipped with the TLVs unread.
      return 0;
    case 0x11: // TCP over IPv4
      return 12;
    case 0x21: // TCP over IPv6
      return 36;
    case 0x31: // Unix stream
      return 216;
    default:
      return undefined;
  }
}

/** Checks that the TLVs fill the header exactly, and the checksum if there is one (section 2.2.3). */
function tlvFault(header: Buffer, start: number): string | undefined {
  if (header[13] === 0x00) return undefined;
  let at = start;
  while (at < header.length) {
    if (header.length - at < 3) return 'v2 header with a truncated TLV';
    const type = header[at];
    const length = header.readUInt16BE(at + 1);
    at += 3;
    if (header.length - at < length) return 'v2 header with a truncated TLV';
    if (type === TLV_CRC32C) {
      if (length !== 4) return 'v2 header with a malformed checksum';
      if (crc32c(header, at, at + 4) !== header.readUInt32BE(at)) {
        return 'v2 header with a wrong checksum';
      }
    }
    at += length;
  }
  return undefined;
}

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), reading the bytes from `zeroFrom` to `zeroTo` as 0. */
function crc32c(bytes: Buffer, zeroFrom: number, zeroTo: number): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    crc ^= i >= zeroFrom && i < zeroTo ? 0 : bytes[i]!;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/**
 * The header to send first on a connection to an origin. IPv4 and IPv6 together are written as
 * IPv6; when an address is none, the header says that the client is unknown.
 */
export function proxyHeader(
  version: 'v1' | 'v2',
  source: { readonly address: string; readonly port: number },
  destination: { readonly address: string; readonly port: number },
): Buffer {
  const from = mappedBytes(source.address);
  const to = mappedBytes(destination.address);
  if (from === undefined || to === undefined) {
    return version === 'v1' ? Buffer.from('PROXY UNKNOWN\r\n', 'latin1') : v2Header(0x00, []);
  }
  const isIPv4 = isMapped(from) && isMapped(to);
  if (version === 'v2') {
    const skip = isIPv4 ? 12 : 0;
    const ports = [
      source.port >> 8,
      source.port & 0xff,
      destination.port >> 8,
      destination.port & 0xff,
    ];
    return v2Header(isIPv4 ? 0x11 : 0x21, [...from.slice(skip), ...to.slice(skip), ...ports]);
  }
  const spelled = (bytes: number[]) => {
    const text = addressOfBytes(Uint8Array.from(bytes));
    return isIPv4 || text.includes(':') ? text : `::ffff:${text}`;
  };
  const words = ['PROXY', isIPv4 ? 'TCP4' : 'TCP6', spelled(from), spelled(to)];
  return Buffer.from(`${words.join(' ')} ${source.port} ${destination.port}\r\n`, 'latin1');
}

function isMapped(bytes: readonly number[]): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.slice(0, 10).every((byte) => byte === 0);
}

function v2Header(family: number, addresses: readonly number[]): Buffer {
  const head = [0x21, family, addresses.length >> 8, addresses.length & 0xff];
  return Buffer.concat([V2_SIGNATURE, Buffer.from([...head, ...addresses])]);
}
