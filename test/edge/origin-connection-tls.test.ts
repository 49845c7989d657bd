import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { makePair, withoutOpenssl } from '../config/pem.ts';
import { until } from './e2e/edge-under-test.ts';
import { ask, begin, clientOf, linkTo } from './origin-under-test.ts';

const skip = withoutOpenssl;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An origin for `localhost` that this process trusts. */
async function tlsOrigin(
  t: TestContext,
  answer: (socket: tls.TLSSocket, head: string) => void,
  name = 'localhost',
) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const { cert, key } = makePair(directory, 'origin', [name]);
  const before = tls.getCACertificates('default');
  tls.setDefaultCACertificates([cert]);
  t.after(() => tls.setDefaultCACertificates(before));
  const sockets: tls.TLSSocket[] = [];
  const resumed: boolean[] = [];
  const server = tls.createServer({ cert, key, ALPNProtocols: ['http/1.1'] }, (socket) => {
    sockets.push(socket);
    resumed.push(socket.isSessionReused());
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => answer(socket, chunk.toString('latin1')));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, sockets, resumed, url: `https://localhost:${port}` };
}

test('an origin with TLS is verified, asked by its name, and its connection kept', {
  skip,
}, async (t) => {
  const origin = await tlsOrigin(t, (socket) => socket.write(OK));
  const to = linkTo(origin.url);
  t.after(() => to.close());
  for (let i = 0; i < 3; i++) assert.equal((await ask(to)).body, 'ok');
  assert.equal(origin.sockets.length, 1);
  assert.equal(origin.sockets[0]!.servername, 'localhost');
  assert.equal(origin.sockets[0]!.alpnProtocol, 'http/1.1');
});

test('a further connection resumes the session of an earlier one', { skip }, async (t) => {
  const origin = await tlsOrigin(t, (socket) =>
    socket.write(OK.replace('\r\n', '\r\nConnection: close\r\n')),
  );
  const to = linkTo(origin.url);
  for (let i = 0; i < 2; i++) {
    assert.equal((await ask(to)).body, 'ok');
    await until(() => origin.sockets.at(-1)!.closed);
  }
  assert.deepEqual(origin.resumed, [false, true]);
});

test('a certificate for another name, or of nobody known, is refused before anything is sent', {
  skip,
}, async (t) => {
  let heads = '';
  const origin = await tlsOrigin(
    t,
    (_, head) => {
      heads += head;
    },
    'other.example',
  );
  const named = begin(linkTo(origin.url));
  assert.equal((await named.answer.over).error?.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  tls.setDefaultCACertificates([]);
  const unknown = begin(linkTo(origin.url));
  assert.match((await unknown.answer.over).error?.code ?? '', /CERT|ISSUER/);
  assert.equal(named.call.sent || unknown.call.sent, false);
  assert.equal(heads, '');
});

test('the PROXY header comes before TLS, and the handshake behind it', { skip }, async (t) => {
  const origin = await tlsOrigin(t, (socket) => socket.write(OK));
  let preamble = '';
  const front = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('readable', () => {
      const wanted = 'PROXY TCP4 192.0.2.1 192.0.2.2 7 80\r\n'.length;
      preamble = (socket.read(wanted) as Buffer).toString('latin1');
      const inner = net.connect(origin.port, '127.0.0.1');
      inner.on('error', () => undefined);
      socket.pipe(inner).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  t.after(() => front.close());
  const { port } = front.address() as AddressInfo;
  const to = linkTo(`https://localhost:${port}`, { proxyProtocol: 'v1' });
  const client = clientOf(7);
  for (let i = 0; i < 2; i++) assert.equal((await ask(to, { client })).body, 'ok');
  assert.equal(preamble, 'PROXY TCP4 192.0.2.1 192.0.2.2 7 80\r\n');
  assert.equal(origin.sockets.length, 1);
  client.closed();
  await until(() => origin.sockets[0]!.closed);
});

test('a switch over TLS gives every byte behind the head', { skip }, async (t) => {
  const origin = await tlsOrigin(t, (socket) => {
    socket.write('HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nea');
    socket.write('rly');
  });
  const { upgraded } = await ask(linkTo(origin.url), { isUpgrade: true });
  const { socket, early } = upgraded!;
  t.after(() => socket.destroy());
  let text = early;
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.resume();
  await until(() => text === 'early');
});
