/** Ethernet frames built by hand, with right checksums, for the packet tests. */
import { isIPv6 } from 'node:net';
import { writeAddress } from '../../src/datapath/address-bytes.ts';

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export interface Segment {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
  readonly flags?: number;
  readonly seq?: number;
  readonly ack?: number;
  /** TCP options, a multiple of four bytes. */
  readonly options?: Uint8Array;
  readonly payload?: Uint8Array;
}

const MACS = Buffer.from('020000000001020000000002', 'hex');

function addressBytes(text: string): Buffer {
  const bytes = new Uint8Array(16);
  writeAddress(text, bytes, 0);
  return Buffer.from(isIPv6(text) ? bytes : bytes.subarray(12));
}

/** Internet checksum, RFC 1071. */
export function checksum(...parts: Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! << 8 : bytes[i]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function pseudo(from: string, to: string, protocol: number, length: number): Buffer {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(length, 0);
  tail.writeUInt8(protocol, 7);
  return Buffer.concat([addressBytes(from), addressBytes(to), tail]);
}

function tcp(s: Segment): Buffer {
  const options = s.options ?? new Uint8Array(0);
  const head = Buffer.alloc(20);
  head.writeUInt16BE(s.fromPort, 0);
  head.writeUInt16BE(s.toPort, 2);
  head.writeUInt32BE((s.seq ?? 1) >>> 0, 4);
  head.writeUInt32BE((s.ack ?? 0) >>> 0, 8);
  head.writeUInt8(((20 + options.length) / 4) << 4, 12);
  head.writeUInt8(s.flags ?? ACK, 13);
  head.writeUInt16BE(65_000, 14);
  const whole = Buffer.concat([head, options, s.payload ?? new Uint8Array(0)]);
  whole.writeUInt16BE(checksum(pseudo(s.from, s.to, 6, whole.length), whole), 16);
  return whole;
}

export interface IpFields {
  /** IPv4: flags and offset of fragmentation. */
  readonly fragment?: number;
}

/** An Ethernet frame with an IP packet around `content`. */
export function frame(
  from: string,
  to: string,
  protocol: number,
  content: Uint8Array,
  fields: IpFields = {},
): Buffer {
  const six = isIPv6(from);
  const head = Buffer.alloc(six ? 40 : 20);
  if (six) {
    head.writeUInt8(0x60, 0);
    head.writeUInt16BE(content.length, 4);
    head.writeUInt8(protocol, 6);
    head.writeUInt8(64, 7);
    addressBytes(from).copy(head, 8);
    addressBytes(to).copy(head, 24);
  } else {
    head.writeUInt8(0x45, 0);
    head.writeUInt16BE(20 + content.length, 2);
    head.writeUInt16BE(fields.fragment ?? 0, 6);
    head.writeUInt8(64, 8);
    head.writeUInt8(protocol, 9);
    addressBytes(from).copy(head, 12);
    addressBytes(to).copy(head, 16);
    head.writeUInt16BE(checksum(head), 10);
  }
  const type = Buffer.from(six ? '86dd' : '0800', 'hex');
  return Buffer.concat([MACS, type, head, content]);
}

export function tcpFrame(segment: Segment, fields: IpFields = {}): Buffer {
  return frame(segment.from, segment.to, 6, tcp(segment), fields);
}

/** An ICMP error from a router about a packet that `segment` describes. */
export function errorFrame(
  router: string,
  type: number,
  code: number,
  segment: Segment,
  fields: IpFields = {},
): Buffer {
  const six = isIPv6(segment.from);
  const inner = tcpFrame(segment, fields).subarray(14);
  const head = Buffer.from([type, code, 0, 0, 0, 0, 4, 0]);
  const content = Buffer.concat([head, inner]);
  const protocol = six ? 58 : 1;
  const sum = six
    ? checksum(pseudo(router, segment.from, protocol, content.length), content)
    : checksum(content);
  content.writeUInt16BE(sum, 2);
  return frame(router, segment.from, protocol, content);
}

export function udpFrame(
  from: string,
  fromPort: number,
  to: string,
  toPort: number,
  fields: IpFields = {},
): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(fromPort, 0);
  head.writeUInt16BE(toPort, 2);
  head.writeUInt16BE(16, 4);
  return frame(from, to, 17, head, fields);
}

/** An IPv6 packet behind a fragment header. `offset` in bytes. */
export function fragment6(
  from: string,
  to: string,
  protocol: number,
  offset: number,
  content: Uint8Array,
): Buffer {
  const head = Buffer.from([protocol, 0, 0, 0, 0, 0, 0, 9]);
  head.writeUInt16BE(offset | 1, 2);
  return frame(from, to, 44, Buffer.concat([head, content]));
}

/** Maximum segment size, the option the kernel writes first. */
export function mssOption(bytes: number): Buffer {
  const option = Buffer.from([2, 4, 0, 0]);
  option.writeUInt16BE(bytes, 2);
  return option;
}
