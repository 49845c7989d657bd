/**
 * The ends of the benchmark's connections.
 *
 *     node sink.ts serve ADDRESS…      takes whatever comes and throws it away
 *     node sink.ts send ADDRESS PORT   connects, says its port, and sends on "go" until "stop"
 */
import { connect, createServer } from 'node:net';
import { dieWithParent } from '../../test/datapath/namespace.ts';
import { PORT } from './ground.ts';

const CHUNK = Buffer.alloc(262_144, 'holdfast');

dieWithParent();
const [mode, ...addresses] = process.argv.slice(2);
if (mode === 'serve') {
  let waiting = addresses.length;
  for (const host of addresses) {
    const server = createServer((socket) => {
      socket.on('error', () => {});
    });
    // A buffer of our own, read over and over: the sink must not be what is measured.
    server.on('connection', (socket) => socket.resume());
    server.listen({ host, port: PORT }, () => {
      if (--waiting === 0) process.send?.('ready');
    });
  }
} else {
  const socket = connect({
    host: addresses[0]!,
    port: PORT,
    noDelay: true,
    onread: { buffer: Buffer.alloc(1_024), callback: () => true },
  });
  let sending = false;
  const pump = () => {
    while (sending && socket.write(CHUNK));
  };
  socket.on('drain', pump);
  socket.on('error', (error) => {
    process.send?.({ error: error.message });
  });
  socket.on('connect', () => process.send?.({ port: socket.localPort }));
  process.on('message', (word) => {
    if (word === 'go') {
      sending = true;
      pump();
    } else if (word === 'stop') sending = false;
    else process.send?.({ bytes: socket.bytesWritten - socket.writableLength });
  });
}
