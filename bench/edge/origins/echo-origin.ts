/** A WebSocket origin that echoes the benchmark's messages. Usage: PORT */
import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { echoFrames } from './echo-frames.ts';

const HEAD_BYTES_MAX = 16_384;

/** RFC 6455, 4.2.2. */
function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

function serve(socket: Socket): void {
  let waiting: Buffer = Buffer.alloc(0);
  let upgraded = false;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    let bytes: Buffer = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    if (!upgraded) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        if (bytes.length > HEAD_BYTES_MAX) socket.destroy();
        waiting = bytes;
        return;
      }
      const key = /^sec-websocket-key:\s*(\S+)/im.exec(bytes.toString('latin1', 0, end))?.[1];
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key ?? '')}\r\n\r\n`,
      );
      upgraded = true;
      bytes = bytes.subarray(end + 4);
    }
    const echoed = echoFrames(bytes);
    if (echoed === undefined) {
      socket.end();
      return;
    }
    if (echoed.answer.length > 0) socket.write(echoed.answer);
    waiting = echoed.rest;
  });
}

createServer(serve).listen({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  backlog: 4_096,
});
process.on('SIGTERM', () => process.exit(0));
