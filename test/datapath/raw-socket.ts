/** Raw and UDP sockets used synchronously, so that a test can send and look without waiting turns. */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, void *, uint32_t)');
const sendto = libc.func('int64_t sendto(int, void *, size_t, int, void *, uint32_t)');
const recvfrom = libc.func('int64_t recv(int, void *, size_t, int)');
const closeFd = libc.func('int close(int)');
const ifIndex = libc.func('uint32_t if_nametoindex(const char *)');

const AF_INET = 2;
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const MSG_DONTWAIT = 0x40;

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
  return result;
}

abstract class SyncSocket {
  protected readonly fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(65_536);

  protected constructor(fd: number) {
    this.fd = fd;
  }

  /** What has arrived, or undefined. */
  receive(): Buffer | undefined {
    const bytes = Number(recvfrom(this.fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
    return bytes < 0 ? undefined : Buffer.from(this.#buffer.subarray(0, bytes));
  }

  get descriptor(): number {
    return this.fd;
  }

  receiveAll(): Buffer[] {
    const all: Buffer[] = [];
    for (let one = this.receive(); one !== undefined; one = this.receive()) all.push(one);
    return all;
  }

  close(): void {
    closeFd(this.fd);
  }
}

/** Whole frames on one device of the namespace it is made in. */
export class FrameSocket extends SyncSocket {
  constructor(device: string) {
    super(checked(socket(AF_PACKET, SOCK_RAW, 0x0300), 'socket'));
    const at = Buffer.alloc(20);
    at.writeUInt16LE(AF_PACKET, 0);
    at.writeUInt16BE(3, 2);
    at.writeInt32LE(ifIndex(device), 4);
    checked(bind(this.fd, at, at.length), 'bind');
  }

  send(frame: Uint8Array): void {
    checked(Number(sendto(this.fd, frame, frame.length, 0, null, 0)), 'send');
  }
}

function address(ip: string, port: number): Buffer {
  const at = Buffer.alloc(16);
  at.writeUInt16LE(AF_INET, 0);
  at.writeUInt16BE(port, 2);
  Buffer.from(ip.split('.').map(Number)).copy(at, 4);
  return at;
}

/** UDP over IPv4, bound to an address of the namespace it is made in. */
export class DatagramSocket extends SyncSocket {
  constructor(ip: string, port: number) {
    super(checked(socket(AF_INET, SOCK_DGRAM, 0), 'socket'));
    checked(bind(this.fd, address(ip, port), 16), `bind ${ip}`);
  }

  send(datagram: Uint8Array, ip: string, port: number): void {
    checked(Number(sendto(this.fd, datagram, datagram.length, 0, address(ip, port), 16)), 'sendto');
  }
}
