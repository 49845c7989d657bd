import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { makePair, withoutOpenssl } from '../../config/pem.ts';
import {
  httpOrigin,
  inTime,
  RawClient,
  rawOrigin,
  startEdge,
  type TestOrigin,
  until,
} from './edge-under-test.ts';

const skip = withoutOpenssl;
const LISTEN = ['https://127.0.0.1:0'];

function pairs(t: TestContext, ...names: [file: string, hosts: string[]][]) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return names.map(([file, hosts]) => {
    const { cert, key } = makePair(directory, file, hosts);
    return { cert, key };
  });
}

async function connect(
  t: TestContext,
  port: number,
  options: tls.ConnectionOptions = {},
): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...options,
  });
  t.after(() => socket.destroy());
  await inTime(
    new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    }),
    'TLS handshake',
  );
  socket.on('error', () => undefined);
  return socket;
}

function nameIn(socket: tls.TLSSocket): string {
  return socket.getPeerCertificate().subjectaltname ?? '';
}

async function get(socket: tls.TLSSocket, host: string): Promise<string> {
  const client = new RawClient(socket);
  client.write(`GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return client.all();
}

function mirror(t: TestContext): Promise<TestOrigin> {
  return httpOrigin(t, (request, response) => {
    response.end(`<${request.headers['x-forwarded-proto']} ${request.headers.forwarded}>`);
  });
}

test('each server name gets its certificate, and no name the general one', { skip }, async (t) => {
  const origin = await mirror(t);
  const [app, wide, any] = pairs(
    t,
    ['app', ['app.example']],
    ['wide', ['*.wide.example']],
    ['any', ['any.example']],
  );
  const routes = { '/*': origin.at };
  const edge = await startEdge(t, {
    listen: LISTEN,
    sites: {
      'app.example': { tls: [app!], routes },
      '*.wide.example': { tls: [wide!], routes },
      '*': { tls: [any!], routes },
    },
  });
  for (const [servername, name] of [
    ['app.example', 'DNS:app.example'],
    ['APP.example', 'DNS:app.example'],
    ['x.wide.example', 'DNS:*.wide.example'],
    ['elsewhere.example', 'DNS:any.example'],
  ] as const) {
    const socket = await connect(t, edge.port, { servername });
    assert.equal(nameIn(socket), name, servername);
    assert.equal(socket.alpnProtocol, 'http/1.1');
    const reply = await get(socket, servername);
    assert.match(reply, /^HTTP\/1\.1 200 /);
    assert.match(reply, /<https for=127\.0\.0\.1;host=[^;]+;proto=https>/);
  }
  assert.equal(nameIn(await connect(t, edge.port)), 'DNS:any.example');
  await until(() => edge.records.length === 4);
  assert.ok(edge.records.every((record) => record.proto === 'https'));
});

test('a name without a certificate gets an alert, not another name’s certificate', {
  skip,
}, async (t) => {
  const [app] = pairs(t, ['app', ['app.example']]);
  const edge = await startEdge(t, {
    listen: LISTEN,
    sites: { 'app.example': { tls: [app!], routes: { '/*': '127.0.0.1:1' } } },
  });
  await assert.rejects(connect(t, edge.port, { servername: 'other.example' }));
  await connect(t, edge.port, { servername: 'app.example' });
  await until(() => edge.edge.status().connections <= 1);
});

test('old protocol versions, plain text and broken handshakes leave the edge serving', {
  skip,
}, async (t) => {
  const origin = await mirror(t);
  const [any] = pairs(t, ['any', ['any.example']]);
  const edge = await startEdge(t, {
    listen: LISTEN,
    sites: { '*': { tls: [any!], routes: { '/*': origin.at } } },
  });
  await assert.rejects(connect(t, edge.port, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1' }));
  for (const bytes of [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    '\x16\x03\x01\x00\x05hello',
    '\0'.repeat(500),
  ]) {
    const client = await RawClient.connect(t, edge.port);
    client.write(bytes);
    assert.doesNotMatch(await client.all(), /200 OK/);
    client.socket.destroy();
  }
  const silent = await RawClient.connect(t, edge.port);
  silent.write('\x16\x03\x01');
  silent.socket.resetAndDestroy();
  await until(() => edge.edge.status().connections === 0);
  assert.match(await get(await connect(t, edge.port), 'a'), /^HTTP\/1\.1 200 /);
});

test('a slow handshake is cut', { skip }, async (t) => {
  const [any] = pairs(t, ['any', ['any.example']]);
  const edge = await startEdge(t, {
    listen: LISTEN,
    limits: { headMs: 300 },
    sites: { '*': { tls: [any!], routes: { '/*': '127.0.0.1:1' } } },
  });
  const client = await RawClient.connect(t, edge.port);
  client.write('\x16\x03\x01');
  await client.all();
  client.socket.destroy();
  await until(() => edge.edge.status().connections === 0);
});

test('certificates are replaced while a connection goes on', { skip }, async (t) => {
  const origin = await mirror(t);
  const [before, after] = pairs(t, ['before', ['before.example']], ['after', ['after.example']]);
  const sites = (pair: object) => ({ '*': { tls: [pair], routes: { '/*': origin.at } } }) as never;
  const edge = await startEdge(t, { listen: LISTEN, sites: sites(before!) });
  const old = await connect(t, edge.port, { servername: 'any.example' });
  assert.equal(nameIn(old), 'DNS:before.example');
  await edge.edge.apply(edge.config({ sites: sites(after!) }));
  assert.equal(edge.edge.ports()[0], edge.port, 'the listener stayed');
  const fresh = await connect(t, edge.port, { servername: 'any.example' });
  assert.equal(nameIn(fresh), 'DNS:after.example');
  assert.equal(nameIn(await connect(t, edge.port)), 'DNS:after.example');
  assert.match(await get(old, 'a'), /^HTTP\/1\.1 200 /);
});

test('a session is resumed by another edge with the same ticket keys, and only by such', {
  skip,
}, async (t) => {
  const origin = await mirror(t);
  const [any] = pairs(t, ['any', ['any.example']]);
  const input = {
    listen: LISTEN,
    sites: { '*': { tls: [any!], routes: { '/*': origin.at } } },
  };
  const ticketKeys = Buffer.from(randomBytes(48));
  const [one, same, other] = [
    await startEdge(t, input, { ticketKeys }),
    await startEdge(t, input, { ticketKeys }),
    await startEdge(t, input),
  ];
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { servername: 'any.example', maxVersion };
    const first = await connect(t, one.port, options);
    let session = first.getSession();
    first.on('session', (ticket) => {
      session = ticket;
    });
    await get(first, 'a');
    assert.ok(session);
    for (const [edge, isReused] of [
      [one, true],
      [same, true],
      [other, false],
    ] as const) {
      const again = await connect(t, edge.port, { ...options, session });
      assert.equal(again.isSessionReused(), isReused, maxVersion);
      assert.match(await get(again, 'a'), /^HTTP\/1\.1 200 /);
    }
  }
});

test('WebSocket over TLS', { skip }, async (t) => {
  const server = new WebSocketServer({ noServer: true });
  const inner = (await import('node:http')).createServer();
  inner.on('upgrade', (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (ws) => {
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
    });
  });
  const origin = await rawOrigin(t, (socket) => inner.emit('connection', socket));
  const [any] = pairs(t, ['any', ['any.example']]);
  const edge = await startEdge(t, {
    listen: LISTEN,
    sites: { '*': { tls: [any!], routes: { '/*': origin.at } } },
  });
  const ws = new WebSocket(`wss://127.0.0.1:${edge.port}/`, { rejectUnauthorized: false });
  t.after(() => ws.terminate());
  const sent = Buffer.alloc(1_000_000, 7);
  const back = new Promise<Buffer>((resolve, reject) => {
    ws.on('error', reject);
    ws.on('open', () => ws.send(sent));
    ws.on('message', (data) => resolve(data as Buffer));
  });
  assert.ok((await inTime(back, 'echo')).equals(sent));
  const closed = new Promise((resolve) => ws.on('close', resolve));
  ws.close(1000);
  assert.equal(await inTime(closed, 'close'), 1000);
  await until(() => edge.edge.status().tunnels === 0 && edge.edge.status().connections === 0);
});

test('an origin with TLS is asked over TLS, and refused when its certificate is not known', {
  skip,
}, async (t) => {
  const [pair] = pairs(t, ['origin', ['localhost']]);
  const https = await import('node:https');
  const server = https.createServer({ cert: pair!.cert, key: pair!.key }, (_, response) =>
    response.end(),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.on('tlsClientError', () => undefined);
  const { port } = server.address() as { port: number };
  const edge = await startEdge(t, {
    sites: { '*': { routes: { '/*': `https://localhost:${port}` } } },
  });
  const client = await RawClient.connect(t, edge.port);
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(await client.all(), /^HTTP\/1\.1 502 /);
  await until(() => edge.records.length === 1);
  assert.match(edge.records[0]!.detail ?? '', /CERT|certificate/i);
});
