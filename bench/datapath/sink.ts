/**
 * The ends of the benchmark's connections.
 *
 *     node sink.ts serve ADDRESS…   throws away what comes; "d" in it starts a download, "s" stops it
 *     node sink.ts client ADDRESS   connects, says its port; "up", "down", "stop", "bytes" by IPC
 */
import { connect, createServer, type Socket } from 'node:net';
import { PORT } from './ground.ts';
import { dieWithParent } from './namespace.ts';

const CHUNK = Buffer.alloc(262_144, 'x');

/** Writes as much as the socket takes, while it is on. */
class Pump {
  readonly #socket: Socket;
  #on = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('drain', () => this.#fill());
  }

  turn(on: boolean): void {
    this.#on = on;
    this.#fill();
  }

  #fill(): void {
    while (this.#on && this.#socket.write(CHUNK));
  }
}

function serve(addresses: readonly string[]): void {
  let waiting = addresses.length;
  for (const host of addresses) {
    const server = createServer({ noDelay: true }, (socket) => {
      const pump = new Pump(socket);
      socket.on('error', () => {});
      socket.on('data', (data) => {
        if (data.length === 1) pump.turn(data[0] === 0x64);
      });
    });
    server.listen({ host, port: PORT }, () => {
      if (--waiting === 0) process.send?.('ready');
    });
  }
}

function dial(host: string): void {
  const socket = connect({
    host,
    port: PORT,
    noDelay: true,
    onread: { buffer: Buffer.alloc(262_144), callback: () => true },
  });
  const pump = new Pump(socket);
  socket.on('error', (error) => {
    console.error(`bench: ${error.message}`);
    process.exit(1);
  });
  socket.on('connect', () => process.send?.({ port: socket.localPort }));
  process.on('message', (word) => {
    if (word === 'up') pump.turn(true);
    else if (word === 'down') socket.write('d');
    else if (word === 'stop') {
      pump.turn(false);
      socket.write('s');
    } else process.send?.({ bytes: socket.bytesWritten - socket.writableLength });
  });
}

dieWithParent();
const [mode, ...addresses] = process.argv.slice(2);
if (mode === 'serve') serve(addresses);
else dial(addresses[0]!);
