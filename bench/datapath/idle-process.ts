/**
 * Connections that do nothing.
 *
 *     node idle-process.ts serve ADDRESS PORT           accepts none: the kernel completes and keeps them
 *     node idle-process.ts dial ADDRESS PORT FROM COUNT  opens so many from the address FROM, and holds them
 *
 * Says "ready" by IPC and ends with its parent.
 */
import { isIPv4 } from 'node:net';
import koffi from 'koffi';
import { dieWithParent } from './namespace.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;
const BACKLOG = 262_144;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, void *, uint32_t)');
const listen = libc.func('int listen(int, int)');
const connect = libc.func('int connect(int, void *, uint32_t)');

function at(address: string, port: number): Buffer {
  if (!isIPv4(address)) throw new Error(`${address} is no IPv4 address`);
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  Buffer.from(address.split('.').map(Number)).copy(bytes, 4);
  return bytes;
}

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`);
  return result;
}

dieWithParent();
const [mode = '', address = '', port = '', from = '', count = ''] = process.argv.slice(2);
const open = () => checked(socket(AF_INET, SOCK_STREAM, 0), 'socket');
if (mode === 'serve') {
  const fd = open();
  checked(bind(fd, at(address, Number(port)), 16), 'bind');
  checked(listen(fd, BACKLOG), 'listen');
} else {
  for (let i = 0; i < Number(count); i++) {
    const fd = open();
    checked(bind(fd, at(from, 0), 16), 'bind');
    checked(connect(fd, at(address, Number(port)), 16), 'connect');
  }
}
process.send?.('ready');
// Nothing more to do than to be there.
process.on('message', () => {});
