/** Sends whole IP packets (raw(7), ipv6(7)). Needs root. */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import koffi from 'koffi';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
/** With it the caller brings the IP header, in both families. */
const IPPROTO_RAW = 255;
const MSG_DONTWAIT = 0x40;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const sendto = libc.func(
  'long sendto(int fd, const void *bytes, size_t length, int flags, const void *to, unsigned int toLength)',
);

function socketAddress(host: string): Buffer {
  const bytes = Buffer.from(ipaddr.parse(host).toByteArray());
  const v6 = isIPv6(host);
  const address = Buffer.alloc(v6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES);
  address.writeUInt16LE(v6 ? AF_INET6 : AF_INET, 0);
  bytes.copy(address, v6 ? 8 : 4);
  return address;
}

/**
 * @returns A function that sends one packet to `host`; false when the kernel did not take it.
 * @throws Error with the kernel's errno when there is no such socket.
 */
export function openRawSocket(host: string): (packet: Buffer) => boolean {
  const fd: number = socket(isIPv6(host) ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) throw new Error(`no raw socket: errno ${koffi.errno()}`);
  const to = socketAddress(host);
  return (packet) =>
    Number(sendto(fd, packet, packet.length, MSG_DONTWAIT, to, to.length)) === packet.length;
}
