/**
 * The lab's origin for everything that is not a file. A program of its own, run in the origin's
 * namespace:
 *
 * - `PUT /upload/NAME` answers `{bytes, sha256}` of what it got.
 * - `GET /events?stream=S&count=N&everyMs=M&bytes=B` sends N server-sent events, numbered.
 * - `GET /bytes?name=N&seed=S&bytes=B&rate=R` sends B bytes that follow from name and seed, at R a
 *   second.
 * - `/ws` echoes every WebSocket message.
 * - `GET /health` answers 200; 503 to an address for which there is a file `unwell-ADDRESS`.
 *
 * Usage: `node app.ts PORT [ADDRESS] [DIRECTORY]`. Without an address, or with `::`, it listens on
 * every one of its namespace; port 0 takes a free one. The directory is that of the files.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { seededBytes } from '../random-bytes.ts';
import { unwellFile } from './files.ts';
import { message } from './payload.ts';

const MESSAGE_BYTES_MAX = 1_048_576;
const BYTES_MAX = 67_108_864;
const PACE_MS = 50;

/** A whole number from the query, within bounds. */
function number(
  query: URLSearchParams,
  name: string,
  fallback: number,
  max: number,
  min = 1,
): number {
  const value = Number(query.get(name) ?? fallback);
  return Number.isInteger(value) && value >= min && value <= max ? value : fallback;
}

async function upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }));
}

function events(query: URLSearchParams, response: ServerResponse): void {
  const stream = (query.get('stream') ?? 'sse').slice(0, 64);
  const count = number(query, 'count', 100, 10_000_000);
  const everyMs = number(query, 'everyMs', 20, 60_000);
  const bytes = number(query, 'bytes', 64, 65_536);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const startMs = performance.now();
  let sent = 0;
  // A late timer sends what is due, so that the stream's length is known beforehand.
  const send = () => {
    const due = Math.min(count, Math.floor((performance.now() - startMs) / everyMs) + 1);
    while (sent < due && !response.writableNeedDrain) {
      response.write(`id: ${sent}\ndata: ${message(stream, sent, bytes)}\n\n`);
      sent += 1;
    }
    if (sent === count) response.end();
  };
  const timer = setInterval(send, everyMs);
  response.on('close', () => clearInterval(timer));
  send();
}

function bytes(query: URLSearchParams, response: ServerResponse): void {
  const length = number(query, 'bytes', 1, BYTES_MAX);
  const perS = number(query, 'rate', BYTES_MAX, BYTES_MAX);
  const seed = number(query, 'seed', 1, 2 ** 31, 0);
  const content = seededBytes(seed, (query.get('name') ?? '').slice(0, 64), length);
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': length,
    'cache-control': 'no-store',
  });
  const startMs = performance.now();
  let sent = 0;
  const send = () => {
    if (response.writableNeedDrain) return;
    const due = Math.min(
      length,
      Math.ceil(((performance.now() - startMs + PACE_MS) * perS) / 1_000),
    );
    if (due > sent) response.write(content.subarray(sent, due));
    sent = Math.max(sent, due);
    if (sent === length) response.end();
  };
  const timer = setInterval(send, PACE_MS);
  response.on('close', () => clearInterval(timer));
  send();
}

const unwellDirectory = process.argv[4];

/** IPv4 clients of a socket for both families have addresses such as `::ffff:192.0.2.1`. */
const unwellFileOf = ({ socket }: IncomingMessage): string =>
  unwellFile(unwellDirectory ?? '', (socket.remoteAddress ?? '').replace(/^::ffff:/, ''));

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://origin.invalid');
  if (url.pathname.startsWith('/upload/')) {
    // A client that leaves in the middle is a normal event here.
    upload(request, response).catch(() => response.destroy());
  } else if (url.pathname === '/events') {
    events(url.searchParams, response);
  } else if (url.pathname === '/bytes') {
    bytes(url.searchParams, response);
  } else if (url.pathname === '/health') {
    const isWell = unwellDirectory === undefined || !existsSync(unwellFileOf(request));
    response.writeHead(isWell ? 200 : 503).end(isWell ? 'ok\n' : 'unwell\n');
  } else {
    response.writeHead(404).end();
  }
});
server.keepAliveTimeout = 120_000;
server.requestTimeout = 0;

const sockets = new WebSocketServer({ server, path: '/ws', maxPayload: MESSAGE_BYTES_MAX });
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => socket.terminate());
});

const port = Number(process.argv[2]);
server.listen(port, process.argv[3] ?? '::', () => {
  const bound = server.address() as AddressInfo;
  process.stdout.write(`listening on port ${bound.port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
