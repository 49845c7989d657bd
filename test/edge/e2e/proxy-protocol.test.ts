import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseProxyHeader, proxyHeader } from '../../../src/edge/proxy-protocol.ts';
import {
  httpOrigin,
  RawClient,
  rawOrigin,
  routed,
  sendRaw,
  startEdge,
  until,
} from './edge-under-test.ts';

const FROM = { address: '203.0.113.7', port: 51_000 };
const TO = { address: '192.0.2.10', port: 443 };
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const LISTEN = [{ at: '127.0.0.1:0', proxyProtocolFrom: ['127.0.0.0/8'] }];

function forwardedForOrigin(t: TestContext) {
  return httpOrigin(t, (request, response) => {
    response.end(`for <${request.headers['x-forwarded-for']}>`);
  });
}

for (const version of ['v1', 'v2'] as const) {
  test(`a PROXY ${version} header names the client, however it is cut`, async (t) => {
    const origin = await forwardedForOrigin(t);
    const edge = await startEdge(t, { ...routed(origin.at), listen: LISTEN });
    const header = proxyHeader(version, FROM, TO);
    const whole = await sendRaw(t, edge.port, Buffer.concat([header, Buffer.from(GET)]));
    assert.match(whole, /for <203\.0\.113\.7>/);
    const client = await RawClient.connect(t, edge.port);
    client.socket.setNoDelay(true);
    for (const byte of header) {
      client.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.write(GET);
    assert.match(await client.all(), /for <203\.0\.113\.7>/);
    await until(() => edge.records.length === 2);
    assert.ok(edge.records.every((record) => record.client === '203.0.113.7'));
  });
}

test('IPv6 clients and several requests on one connection', async (t) => {
  const origin = await forwardedForOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), listen: LISTEN });
  const source = { address: '2001:db8::7', port: 1 };
  const client = await RawClient.connect(t, edge.port);
  client.write(proxyHeader('v2', source, { address: '2001:db8::10', port: 443 }));
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receives('for <2001:db8::7>');
  client.write(GET);
  assert.equal((await client.all()).match(/for <2001:db8::7>/g)?.length, 2);
});

test('a proxy that speaks for itself is the client', async (t) => {
  const origin = await forwardedForOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), listen: LISTEN });
  for (const header of [
    'PROXY UNKNOWN\r\n',
    Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'),
  ]) {
    const bytes = Buffer.concat([Buffer.from(header), Buffer.from(GET)]);
    assert.match(await sendRaw(t, edge.port, bytes), /for <127\.0\.0\.1>/);
  }
});

test('a connection that must begin with a header and does not is closed and logged', async (t) => {
  const origin = await forwardedForOrigin(t);
  const edge = await startEdge(t, {
    ...routed(origin.at),
    listen: LISTEN,
    limits: { headMs: 300 },
  });
  for (const bytes of [
    GET,
    'PROXY TCP4 nonsense\r\n',
    Buffer.from('0d0a0d0a000d0a515549540aff', 'hex'),
  ]) {
    assert.doesNotMatch(await sendRaw(t, edge.port, bytes), /200/);
  }
  await until(() => edge.records.filter(({ code }) => code === 'ERR_PROXY_HEADER').length >= 2);
  const silent = await RawClient.connect(t, edge.port);
  silent.write('PROXY TC');
  await silent.all();
  assert.equal(origin.accepted(), 0);
  await until(() => edge.edge.status().connections === 0);
});

test('a peer that must not send a header gets 400 for it', async (t) => {
  const origin = await forwardedForOrigin(t);
  const edge = await startEdge(t, routed(origin.at));
  for (const version of ['v1', 'v2'] as const) {
    const bytes = Buffer.concat([proxyHeader(version, FROM, TO), Buffer.from(GET)]);
    assert.match(await sendRaw(t, edge.port, bytes), /^HTTP\/1\.1 400 /);
  }
  assert.equal(origin.accepted(), 0);
});

test('connections are limited by the client that the header names', async (t) => {
  const origin = await forwardedForOrigin(t);
  const edge = await startEdge(t, {
    ...routed(origin.at),
    listen: LISTEN,
    limits: { connectionsPerClient: 1 },
  });
  const first = await RawClient.connect(t, edge.port);
  first.write(proxyHeader('v1', FROM, TO));
  await until(() => edge.edge.status().connections === 1);
  const same = Buffer.concat([proxyHeader('v1', FROM, TO), Buffer.from(GET)]);
  assert.match(await sendRaw(t, edge.port, same), /^HTTP\/1\.1 429 /);
  const other = { address: '203.0.113.8', port: 2 };
  const bytes = Buffer.concat([proxyHeader('v1', other, TO), Buffer.from(GET)]);
  assert.match(await sendRaw(t, edge.port, bytes), /for <203\.0\.113\.8>/);
  first.socket.destroy();
});

for (const version of ['v1', 'v2'] as const) {
  test(`origins are told the client by PROXY ${version}, each client on its own connection`, async (t) => {
    const heads: ReturnType<typeof parseProxyHeader>[] = [];
    const origin = await rawOrigin(t, (socket) => {
      let seen = Buffer.alloc(0);
      let isKnown = false;
      socket.on('data', (chunk: Buffer) => {
        seen = Buffer.concat([seen, chunk]);
        if (!isKnown) {
          const header = parseProxyHeader(seen);
          if (header.state === 'incomplete') return;
          heads.push(header);
          isKnown = true;
          seen = seen.subarray(header.state === 'done' ? header.bytes : 0);
        }
        if (!seen.includes('\r\n\r\n')) return;
        seen = Buffer.alloc(0);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const edge = await startEdge(t, routed(origin.at, { proxyProtocol: version }));
    const clients = [await RawClient.connect(t, edge.port), await RawClient.connect(t, edge.port)];
    for (const client of clients) {
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.receives('ok');
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await client.receives(/ok.*ok$/s);
    }
    assert.equal(origin.accepted(), 2);
    for (const [i, client] of clients.entries()) {
      const head = heads[i]!;
      assert.ok(head.state === 'done');
      assert.deepEqual(head.source, {
        address: '127.0.0.1',
        port: client.socket.localPort,
        family: 4,
      });
      assert.equal(head.destination?.port, edge.port);
    }
    for (const client of clients) client.socket.destroy();
    await until(() => origin.sockets.size === 0, 'they live no longer than their clients');
  });
}

test('a client named by PROXY is passed on by PROXY', async (t) => {
  let seen = '';
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      if (seen.includes('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  const edge = await startEdge(t, {
    ...routed(origin.at, { proxyProtocol: 'v1' }),
    listen: LISTEN,
  });
  await sendRaw(t, edge.port, Buffer.concat([proxyHeader('v2', FROM, TO), Buffer.from(GET)]));
  assert.match(seen, /^PROXY TCP4 203\.0\.113\.7 192\.0\.2\.10 51000 443\r\nGET \/ /);
});
