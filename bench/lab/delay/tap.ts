/**
 * TAP devices: a network interface whose frames a program reads and writes. See the kernel's
 * Documentation/networking/tuntap.rst.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x4000_0000;
const TUNSETIFF = 0x4004_54ca;
const IFF_TAP = 0x0002;
/** Without it every frame has four bytes of ours in front. */
const IFF_NO_PI = 0x1000;
/** `struct ifreq`: 16 bytes of name, then a union. */
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;

const libc = koffi.load('libc.so.6');
const setns = libc.func('int setns(int fd, int type)');
const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)');

/** Runs `work`, which must not wait for anything, with this thread inside a namespace. */
function inside<T>(namespace: string, work: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/run/netns/${namespace}`, 'r');
  try {
    if (setns(there, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
    return work();
  } finally {
    setns(home, CLONE_NEWNET);
    closeSync(there);
    closeSync(home);
  }
}

/**
 * Makes a TAP device in a namespace; it is gone when the descriptor is closed.
 * @returns The descriptor. One read or write is one Ethernet frame.
 * @throws Error with the kernel's errno.
 */
export function openTap(namespace: string, name: string): number {
  return inside(namespace, () => {
    const fd = openSync('/dev/net/tun', 'r+');
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name, 0, NAME_BYTES - 1, 'latin1');
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI, NAME_BYTES);
    if (ioctl(fd, TUNSETIFF, request) === 0) return fd;
    const errno = koffi.errno();
    closeSync(fd);
    throw new Error(`cannot make the device ${name} in ${namespace}: errno ${errno}`);
  });
}
