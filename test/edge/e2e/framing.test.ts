import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpOrigin, RawClient, routed, sendRaw, startEdge, until } from './edge-under-test.ts';

/** Appended to each trick: what a smuggler wants the origin to see. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

const post = (headers: string, body = '') =>
  `POST /t HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked', body);

const tricks: Record<string, string> = {
  'Content-Length and Transfer-Encoding': post(
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    '0\r\n\r\n',
  ),
  'Transfer-Encoding and Content-Length': post(
    'Transfer-Encoding: chunked\r\nContent-Length: 5',
    '0\r\n\r\n',
  ),
  'two equal Content-Length': post('Content-Length: 5\r\nContent-Length: 5', 'hello'),
  'two different Content-Length': post('Content-Length: 5\r\nContent-Length: 0', 'hello'),
  'Content-Length: 5, 5': post('Content-Length: 5, 5', 'hello'),
  'Content-Length: +5': post('Content-Length: +5', 'hello'),
  'Content-Length: 0x5': post('Content-Length: 0x5', 'hello'),
  'Content-Length above 2^53': post('Content-Length: 9007199254740993', 'hello'),
  'two Hosts': 'GET /t HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n',
  'no Host': 'GET /t HTTP/1.1\r\n\r\n',
  'user info in Host': 'GET /t HTTP/1.1\r\nHost: u@a\r\n\r\n',
  'a folded line': 'GET /t HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n',
  'a folded Transfer-Encoding': post('Transfer-Encoding:\r\n chunked', '0\r\n\r\n'),
  'a blank before the first header': 'GET /t HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n',
  'bare LF after the request line': 'GET /t HTTP/1.1\nHost: a\r\n\r\n',
  'bare LF after a header': 'GET /t HTTP/1.1\r\nHost: a\nX: b\r\n\r\n',
  'bare LF everywhere': 'GET /t HTTP/1.1\nHost: a\n\n',
  'bare LF at the end of the head': 'GET /t HTTP/1.1\r\nHost: a\r\n\n',
  'a lone CR in a value': 'GET /t HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n',
  'NUL in a value': 'GET /t HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n',
  'NUL in a name': 'GET /t HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n',
  'NUL in the target': 'GET /t\0 HTTP/1.1\r\nHost: a\r\n\r\n',
  'HTTP/1.0 with Transfer-Encoding':
    'POST /t HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'Connection: content-length': post(
    'Connection: keep-alive, Content-Length\r\nContent-Length: 5',
    'hello',
  ),
  'Connection: transfer-encoding': post(
    'Connection: transfer-encoding\r\nTransfer-Encoding: chunked',
    '0\r\n\r\n',
  ),
  'Connection: host': 'GET /t HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n',
  'a blank before the colon': post('Content-Length : 5', 'hello'),
  'a header without colon': 'GET /t HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n',
  'an empty header name': 'GET /t HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n',
  'Transfer-Encoding: xchunked': post('Transfer-Encoding: xchunked', '0\r\n\r\n'),
  'Transfer-Encoding: identity': post('Transfer-Encoding: identity', 'hello'),
  'Transfer-Encoding: chunked, identity': post('Transfer-Encoding: chunked, identity', '0\r\n\r\n'),
  'Transfer-Encoding: gzip, chunked': post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'),
  'two Transfer-Encodings': post('Transfer-Encoding: x\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  'a fragment in the target': 'GET /t#x HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target that names another host': 'GET http://b/t HTTP/1.1\r\nHost: a\r\n\r\n',
  'a path above the root': 'GET /../t HTTP/1.1\r\nHost: a\r\n\r\n',
  'a hidden dot segment': 'GET /public%2f..%2ft HTTP/1.1\r\nHost: a\r\n\r\n',
  'an unknown method': 'FOO /t HTTP/1.1\r\nHost: a\r\n\r\n',
  'two blanks and a word in the request line': 'GET /t x HTTP/1.1\r\nHost: a\r\n\r\n',
  'HTTP/1.2': 'GET /t HTTP/1.2\r\nHost: a\r\n\r\n',
  'an HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'an upgrade with a body':
    'GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello',
};

for (const framing of [
  'Content-Length: 5\r\n\r\nhel',
  'Transfer-Encoding: chunked\r\n\r\n5\r\nhel',
]) {
  test(`an upgrade whose body is not whole is refused: ${framing.split(':')[0]}`, async (t) => {
    const origin = await httpOrigin(t, (_, response) => response.end());
    const { port, edge } = await startEdge(t, routed(origin.at));
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n';
    assert.match(await sendRaw(t, port, head + framing), /^HTTP\/1\.1 400 /);
    await until(() => edge.status().connections === 0);
    assert.equal(origin.accepted(), 0);
    // The error of a reset must find a listener too.
    const client = await RawClient.connect(t, port);
    client.write(head + framing);
    await client.receives('400 Bad Request');
    client.socket.resetAndDestroy();
    await until(() => edge.status().connections === 0);
  });
}

test('an upgrade sent behind another request never reaches the origin, nor ends the edge', async (t) => {
  const seen: string[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    seen.push(request.url ?? '');
    response.end('served');
  });
  const { port, edge } = await startEdge(t, routed(origin.at));
  const upgrade =
    'GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
  for (const first of [
    'GET /t HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /first HTTP/1.1\r\nHost: a\r\n\r\n',
  ]) {
    const client = await RawClient.connect(t, port);
    client.write(first + upgrade);
    await client.all();
    client.socket.destroy();
    await until(() => edge.status().connections === 0);
  }
  assert.ok(!seen.includes('/upgrade'), seen.join());
});

for (const [name, bytes] of Object.entries(tricks)) {
  test(`${name} gets 400, a closed connection and a log line; nothing behind it is read`, async (t) => {
    const seen: string[] = [];
    const origin = await httpOrigin(t, (request, response) => {
      seen.push(request.url ?? '');
      response.end();
    });
    const { port, records, edge } = await startEdge(t, routed(origin.at));
    const reply = await sendRaw(t, port, bytes + SMUGGLED);
    assert.match(reply, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(reply, /\r\nconnection: close\r\n/i);
    assert.match(reply, /\r\n\r\n400 Bad Request: .+\n/);
    assert.equal(reply.match(/HTTP\/1\.1 \d/g)?.length, 1, 'one answer only');
    await until(() => edge.status().connections === 0);
    assert.deepEqual(seen, []);
    assert.equal(records.length, 1);
    assert.equal(records[0]!.status, 400);
    assert.match(records[0]!.code ?? '', /^ERR_(FRAMING|TARGET)$/);
  });
}

test('other versions get 505, CONNECT gets 501, other expectations 417', async (t) => {
  const origin = await httpOrigin(t, (_, response) => response.end());
  const { port, records } = await startEdge(t, routed(origin.at));
  for (const [bytes, status] of [
    ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
    ['GET / HTTP/0.9\r\nHost: a\r\n\r\n', 505],
    ['CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['POST / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\nContent-Length: 5\r\n\r\n', 417],
  ] as const) {
    assert.match(await sendRaw(t, port, bytes), new RegExp(`^HTTP/1.1 ${status} `));
    await until(() => records.at(-1)?.status === status);
  }
  assert.equal(origin.accepted(), 0);
});

const brokenBodies: Record<string, string> = {
  '0x5 as chunk size': '0x5\r\nhello\r\n0\r\n\r\n',
  '+5 as chunk size': '+5\r\nhello\r\n0\r\n\r\n',
  'a blank before the chunk size': ' 5\r\nhello\r\n0\r\n\r\n',
  'bare LF after the chunk size': '5\nhello\r\n0\r\n\r\n',
  'bare LF in a chunk extension': '5;a\nb\r\nhello\r\n0\r\n\r\n',
  'bare LF after the chunk': '5\r\nhello\n0\r\n\r\n',
  'a chunk longer than said': '5\r\nhelloo\r\n0\r\n\r\n',
  'a chunk size above 2^64': '10000000000000005\r\nhello\r\n0\r\n\r\n',
  'Content-Length in the trailer': '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n',
  'Transfer-Encoding in the trailer': '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
};
for (const [name, body] of Object.entries(brokenBodies)) {
  test(`a body with ${name} closes the connection and is never complete for the origin`, async (t) => {
    const seen: string[] = [];
    let complete = 0;
    const origin = await httpOrigin(t, (request, response) => {
      seen.push(request.url ?? '');
      request.on('error', () => undefined);
      request.on('end', () => {
        if (request.complete) complete += 1;
        response.end('taken');
      });
      request.resume();
    });
    const { port, edge } = await startEdge(t, routed(origin.at));
    const reply = await sendRaw(t, port, chunked(body) + SMUGGLED);
    assert.match(reply, /^(HTTP\/1\.1 400 |$)/);
    await until(() => edge.status().connections === 0 && edge.status().requestsInFlight === 0);
    assert.equal(complete, 0);
    assert.ok(!seen.includes('/smuggled'), seen.join());
    await until(() => origin.sockets.size === 0, 'the broken origin connection is not kept');
  });
}

test('what is odd but unambiguous is served', async (t) => {
  const seen: string[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    seen.push(request.url ?? '');
    request.resume().on('end', () => response.end(`<${request.url}>`));
  });
  const { port } = await startEdge(t, routed(origin.at));
  for (const [bytes, path] of [
    ['\r\n\r\nGET /crlf-first HTTP/1.1\r\nHost: a\r\n', '/crlf-first'],
    ['GET   /blanks HTTP/1.1\r\nHost: a\r\n', '/blanks'],
    ['GET http://a/absolute?q HTTP/1.1\r\nHost: a\r\n', '/absolute?q'],
    ['GET /a/./b/../c HTTP/1.1\r\nHost: a\r\n', '/a/c'],
    ['GET /%61%2Fb HTTP/1.1\r\nHost: a\r\n', '/a%2Fb'],
    ['GET /ows HTTP/1.1\r\nHost: \t a \t \r\n', '/ows'],
    ['POST /zeros HTTP/1.1\r\nHost: a\r\nContent-Length: 0000\r\n', '/zeros'],
  ] as const) {
    const reply = await sendRaw(t, port, `${bytes}Connection: close\r\n\r\n`);
    assert.match(reply, /^HTTP\/1\.1 200 /, path);
    assert.ok(reply.includes(`<${path}>`), reply);
  }
});

test('a head in single bytes is the same head', async (t) => {
  const origin = await httpOrigin(t, (_, response) => response.end('served'));
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.socket.setNoDelay(true);
  for (const byte of 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') {
    client.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await client.all(), /^HTTP\/1\.1 200 /);
});
