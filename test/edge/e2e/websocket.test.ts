import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import {
  httpOrigin,
  inTime,
  RawClient,
  rawOrigin,
  routed,
  startEdge,
  type TestOrigin,
  until,
} from './edge-under-test.ts';

const UPGRADE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const ACCEPT =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

/** An echo server by `ws`. */
async function echoOrigin(t: TestContext): Promise<TestOrigin & { server: WebSocketServer }> {
  const server = new WebSocketServer({ noServer: true });
  const origin = await httpOriginWithUpgrade(t, (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => undefined);
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  });
  return { ...origin, server };
}

async function httpOriginWithUpgrade(
  t: TestContext,
  onUpgrade: (request: http.IncomingMessage, socket: Socket, head: Buffer) => void,
): Promise<TestOrigin> {
  const inner = http.createServer();
  inner.on('upgrade', (request, socket, head) => onUpgrade(request, socket as Socket, head));
  return rawOrigin(t, (socket) => {
    inner.emit('connection', socket);
  });
}

/** An origin that accepts every upgrade and hands the connection over as bytes. */
function tunnelOrigin(t: TestContext, onTunnel: (socket: Socket) => void): Promise<TestOrigin> {
  return rawOrigin(t, (socket) => {
    let head = '';
    const onData = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      socket.off('data', onData);
      socket.write(ACCEPT);
      onTunnel(socket);
      const early = head.slice(end + 4);
      if (early !== '') socket.emit('data', Buffer.from(early, 'latin1'));
    };
    socket.on('data', onData);
  });
}

async function opened(t: TestContext, port: number, path = '/'): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  t.after(() => ws.terminate());
  ws.on('error', () => undefined);
  await inTime(
    new Promise<void>((resolve, reject) => {
      ws.on('open', resolve);
      ws.on('error', reject);
    }),
    'WebSocket opens',
  );
  return ws;
}

function message(ws: WebSocket): Promise<Buffer> {
  const next = new Promise<Buffer>((resolve) => {
    ws.once('message', (data) => resolve(data as Buffer));
  });
  return inTime(next, 'message');
}

test('messages of every size come back as they were sent', async (t) => {
  const origin = await echoOrigin(t);
  const { port, edge } = await startEdge(t, routed(origin.at));
  const ws = await opened(t, port);
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 2_000_000]) {
    const sent = randomBytes(size);
    const back = message(ws);
    ws.send(sent);
    assert.ok((await back).equals(sent), `${size} bytes`);
  }
  assert.equal(edge.status().tunnels, 1);
  const text = message(ws);
  ws.send('text — ünïcode');
  assert.equal((await text).toString(), 'text — ünïcode');
});

test('many small messages in one write keep their order', async (t) => {
  const origin = await echoOrigin(t);
  const { port } = await startEdge(t, routed(origin.at));
  const ws = await opened(t, port);
  const back: number[] = [];
  ws.on('message', (data) => back.push(Number(data.toString())));
  for (let i = 0; i < 2_000; i++) ws.send(String(i));
  await until(() => back.length === 2_000);
  assert.deepEqual(back, [...Array(2_000).keys()]);
});

test('a close passes with its code, is logged once, and frees the place at the origin', async (t) => {
  const origin = await echoOrigin(t);
  const { port, edge, records } = await startEdge(t, routed(origin.at));
  const ws = await opened(t, port, '/chat?room=1');
  const back = message(ws);
  ws.send('hello');
  await back;
  const code = new Promise((resolve) => ws.once('close', resolve));
  const status = () => edge.status().sites[0]!.routes[0]!.origins[0]!;
  assert.equal(status().inFlight, 1);
  ws.close(4_001);
  assert.equal(await inTime(code, 'close'), 4_001);
  await until(() => edge.status().tunnels === 0 && edge.status().connections === 0);
  assert.equal(status().inFlight, 0);
  await until(() => records.length === 1);
  const record = records[0]!;
  assert.equal(record.status, 101);
  assert.equal(record.target, '/chat?room=1');
  assert.equal(record.outcome, 'done');
  assert.ok(record.bytesIn > 5 && record.bytesOut > 5);
});

test('the head of the answer names the node; the origin sees the handshake and who asked', async (t) => {
  let seen = '';
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', (chunk) => {
      seen = chunk.toString('latin1');
      socket.write(
        ACCEPT.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: chat\r\nX-A: b\r\n\r\n'),
      );
    });
  });
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write(UPGRADE);
  const head = await client.receives('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(head, /\r\nconnection: upgrade\r\n/i);
  assert.match(head, /\r\nupgrade: websocket\r\n/i);
  assert.equal(head.match(/upgrade: websocket/gi)?.length, 1);
  assert.match(head, /\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  assert.match(head, /\r\nsec-websocket-protocol: chat\r\n/i);
  assert.match(head, /\r\nx-a: b\r\n/i);
  assert.match(head, /\r\nx-holdfast-node: n1\r\n/i);
  assert.match(head, /\r\nx-request-id: \S+\r\n/i);
  assert.match(seen, /^GET \/ws HTTP\/1\.1\r\n/);
  assert.match(seen, /\r\nconnection: upgrade\r\n/i);
  assert.match(seen, /\r\nupgrade: websocket\r\n/i);
  assert.match(seen, /\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n/i);
  assert.match(seen, /\r\nx-forwarded-for: 127\.0\.0\.1\r\n/i);
});

test('bytes sent right behind the handshake, by either side, are the first of the tunnel', async (t) => {
  const origin = await tunnelOrigin(t, (socket) => {
    socket.write('greeting');
    socket.on('data', (chunk) => socket.write(chunk));
  });
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write(`${UPGRADE}early`);
  const text = await client.receives('early');
  assert.match(text, /\r\n\r\ngreetingearly$/);
});

for (const status of [200, 401, 403, 426, 500]) {
  test(`an upgrade that the origin answers ${status} gets that answer`, async (t) => {
    const origin = await httpOrigin(t, (_, response) => {
      response.writeHead(status, { 'x-why': 'no', 'content-length': 5 }).end('sorry');
    });
    const { port, edge } = await startEdge(t, routed(origin.at));
    const client = await RawClient.connect(t, port);
    client.write(UPGRADE);
    const text = await client.receives('sorry');
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(text, /x-why: no/i);
    await client.all();
    client.socket.destroy();
    await until(() => edge.status().connections === 0);
    assert.equal(edge.status().sites[0]!.routes[0]!.origins[0]!.inFlight, 0);
  });
}

test('an origin that cannot be reached gets 502 for an upgrade too', async (t) => {
  const { port } = await startEdge(t, routed('127.0.0.1:1', { timeouts: { connectMs: 500 } }));
  const client = await RawClient.connect(t, port);
  client.write(UPGRADE);
  assert.match(await client.all(), /^HTTP\/1\.1 502 /);
});

test('a half-close by the client reaches the origin, which may go on sending', async (t) => {
  let ended = false;
  let say = (_: string) => {};
  let hangUp = () => {};
  const origin = await tunnelOrigin(t, (socket) => {
    say = (text) => socket.write(text);
    hangUp = () => socket.end();
    socket.on('data', () => undefined);
    socket.on('end', () => {
      ended = true;
    });
  });
  const { port, edge } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write(UPGRADE);
  await client.receives('\r\n\r\n');
  client.socket.end('bye');
  await until(() => ended);
  say('still here');
  await client.receives('still here');
  assert.equal(edge.status().tunnels, 1);
  hangUp();
  await client.all();
  await until(() => edge.status().tunnels === 0);
});

test('a half-close by the origin reaches the client, which may go on sending', async (t) => {
  let received = '';
  const origin = await tunnelOrigin(t, (socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    socket.end('last words');
  });
  const { port, edge } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write(UPGRADE);
  assert.match(await client.all(), /last words$/);
  client.write('one more thing');
  await until(() => received === 'one more thing');
  client.socket.end();
  await until(() => edge.status().tunnels === 0);
});

test('a reset by either side resets or closes the other', async (t) => {
  const sockets: Socket[] = [];
  const origin = await tunnelOrigin(t, (socket) => {
    sockets.push(socket);
    socket.on('data', () => undefined);
  });
  const { port, edge } = await startEdge(t, routed(origin.at));
  const byClient = await RawClient.connect(t, port);
  byClient.write(UPGRADE);
  await byClient.receives('\r\n\r\n');
  byClient.socket.resetAndDestroy();
  await until(() => origin.sockets.size === 0 && edge.status().tunnels === 0);
  const byOrigin = await RawClient.connect(t, port);
  byOrigin.write(UPGRADE);
  await byOrigin.receives('\r\n\r\n');
  sockets[1]!.resetAndDestroy();
  await byOrigin.all();
  await until(() => edge.status().tunnels === 0 && edge.status().connections === 0);
});

test('a reader that stalls stops the sender, and gets all once it reads again', async (t) => {
  const total = 60_000_000;
  const chunk = randomBytes(60_000);
  const expected = createHash('sha256');
  let written = 0;
  const origin = await tunnelOrigin(t, (socket) => {
    const pour = () => {
      while (written < total) {
        written += chunk.length;
        expected.update(chunk);
        if (!socket.write(chunk)) return;
      }
      socket.end();
    };
    socket.on('drain', pour);
    socket.on('data', () => undefined);
    pour();
  });
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  const sum = createHash('sha256');
  let got = 0;
  client.socket.removeAllListeners('data');
  let head = '';
  const onHead = (data: Buffer) => {
    head += data.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    client.socket.off('data', onHead);
    const rest = Buffer.from(head.slice(end + 4), 'latin1');
    sum.update(rest);
    got += rest.length;
    client.socket.pause();
  };
  client.socket.on('data', onHead);
  client.write(UPGRADE);
  await until(() => got > 0 || head.includes('\r\n\r\n'));
  let before = -1;
  await until(() => {
    const still = before === written;
    before = written;
    return still;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(written < 40_000_000, `${written} bytes were taken for a client that does not read`);
  client.socket.on('data', (data: Buffer) => {
    sum.update(data);
    got += data.length;
  });
  client.socket.resume();
  await until(() => got >= total);
  assert.equal(got, written);
  assert.equal(sum.digest('hex'), expected.digest('hex'));
});

test('a tunnel that is silent both ways is closed', async (t) => {
  const origin = await tunnelOrigin(t, (socket) => socket.on('data', () => undefined));
  const { port, edge, records } = await startEdge(
    t,
    routed(origin.at, { timeouts: { tunnelIdleMs: 1_000 } }),
  );
  const client = await RawClient.connect(t, port);
  client.write(UPGRADE);
  await client.receives('\r\n\r\n');
  await client.all();
  await until(() => edge.status().tunnels === 0 && origin.sockets.size === 0);
  await until(() => records.length === 1);
  assert.equal(records[0]!.outcome, 'cut');
});

test('an upgrade waits in the queue for a place, and a tunnel holds one', async (t) => {
  const origin = await tunnelOrigin(t, (socket) => socket.on('data', () => undefined));
  const { port, edge } = await startEdge(
    t,
    routed(origin.at, { limits: { connectionsPerOrigin: 1 } }),
  );
  const first = await RawClient.connect(t, port);
  first.write(UPGRADE);
  await first.receives('\r\n\r\n');
  const second = await RawClient.connect(t, port);
  second.write(UPGRADE);
  await until(() => edge.status().requestsInFlight === 1);
  first.socket.resetAndDestroy();
  await second.receives('101 Switching Protocols');
});

test('a client that goes away while its upgrade is asked leaves nothing behind', async (t) => {
  let answer = () => {};
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => {
      answer = () => socket.write(ACCEPT);
    });
    socket.on('data', () => undefined);
  });
  const { port, edge } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write(UPGRADE);
  await until(() => origin.sockets.size === 1);
  client.socket.destroy();
  await until(() => edge.status().connections === 0);
  answer();
  await until(() => origin.sockets.size === 0 && edge.status().requestsInFlight === 0);
  assert.equal(edge.status().tunnels, 0);
  assert.equal(edge.status().sites[0]!.routes[0]!.origins[0]!.inFlight, 0);
});

test('a drain closes WebSockets with 1012 between frames and ends', async (t) => {
  const origin = await echoOrigin(t);
  const { port, edge } = await startEdge(t, {
    ...routed(origin.at),
    drain: { deadlineMs: 5_000, tunnelSpreadMs: 300 },
  });
  const codes: number[] = [];
  const sockets = await Promise.all([1, 2, 3].map(() => opened(t, port)));
  for (const ws of sockets) ws.on('close', (code) => codes.push(code));
  const { cut } = await inTime(edge.drain(), 'drain');
  assert.equal(cut, 0);
  await until(() => codes.length === 3);
  assert.deepEqual(codes, [1012, 1012, 1012]);
});
