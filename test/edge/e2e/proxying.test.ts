import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type http from 'node:http';
import { type TestContext, test } from 'node:test';
import {
  ask,
  bodyOf,
  httpOrigin,
  inTime,
  RawClient,
  rawOrigin,
  routed,
  sendRaw,
  startEdge,
  until,
} from './edge-under-test.ts';

/** An origin that tells what it was asked. */
function mirror(t: TestContext) {
  return httpOrigin(t, async (request, response) => {
    const body = await bodyOf(request);
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        raw: request.rawHeaders,
        body: body.toString('latin1'),
      }),
    );
  });
}

interface Mirrored {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
  raw: string[];
  body: string;
}

const mirrored = (reply: { body: string }): Mirrored => JSON.parse(reply.body);

test('tells the origin who asked, and the client who served', async (t) => {
  const origin = await mirror(t);
  const { port, records } = await startEdge(t, routed(origin.at));
  const reply = await ask(port, { path: '/x?y=1', headers: { host: 'app.example', 'x-a': 'b' } });
  const seen = mirrored(reply);
  assert.equal(seen.url, '/x?y=1');
  assert.equal(seen.headers.host, 'app.example');
  assert.equal(seen.headers['x-a'], 'b');
  assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(seen.headers['x-forwarded-proto'], 'http');
  assert.equal(seen.headers['x-forwarded-host'], 'app.example');
  assert.equal(seen.headers.forwarded, 'for=127.0.0.1;host=app.example;proto=http');
  assert.equal(seen.headers.via, '1.1 n1');
  assert.equal(reply.headers.via, '1.1 n1');
  assert.equal(reply.headers['x-holdfast-node'], 'n1');
  assert.equal(reply.headers['x-request-id'], seen.headers['x-request-id']);
  await until(() => records.length === 1);
  const record = records[0]!;
  assert.equal(record.id, reply.headers['x-request-id']);
  assert.equal(record.client, '127.0.0.1');
  assert.equal(record.target, '/x?y=1');
  assert.equal(record.host, 'app.example');
  assert.equal(record.route, '* /*');
  assert.equal(record.origin, origin.url);
  assert.equal(record.status, 200);
  assert.equal(record.outcome, 'done');
  assert.equal(record.bytesOut, reply.body.length);
});

test('IPv6 clients and listeners', async (t) => {
  const origin = await mirror(t);
  const edge = await startEdge(t, { ...routed(origin.at), listen: ['[::1]:0'] });
  const headers = { host: `[::1]:${edge.port}` };
  const seen = mirrored(await ask(edge.port, { host: '::1', headers }));
  assert.equal(seen.headers['x-forwarded-for'], '::1');
  assert.equal(seen.headers.forwarded, `for="[::1]";host="[::1]:${edge.port}";proto=http`);
});

test('drops what speaks of one connection only, and what the client may not claim', async (t) => {
  const origin = await mirror(t);
  const { port } = await startEdge(t, routed(origin.at));
  const bytes = [
    'GET / HTTP/1.1',
    'Host: a',
    'Connection: X-Secret, keep-alive, X-Forwarded-For',
    'X-Secret: 1',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'TE: trailers',
    'Upgrade: h2c',
    'X-Forwarded-For: 203.0.113.7',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Port: 1',
    'Forwarded: for=203.0.113.7',
    'X-Request-Id: mine',
    'X-Holdfast-Node: mine',
    'Via: 1.0 before',
    'X-Kept: \xe9',
    '',
    '',
  ].join('\r\n');
  const client = await RawClient.connect(t, port);
  client.write(bytes);
  const text = await client.receives(/\}(\r\n0\r\n\r\n)?$/);
  const { headers } = JSON.parse(/\{.*\}/s.exec(text)![0]) as Mirrored;
  for (const name of [
    'x-secret',
    'keep-alive',
    'proxy-connection',
    'te',
    'upgrade',
    'x-forwarded-port',
    'x-holdfast-node',
  ]) {
    assert.equal(headers[name], undefined, name);
  }
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(headers['x-forwarded-proto'], 'http');
  assert.equal(headers['x-forwarded-host'], 'a');
  assert.equal(headers.forwarded, 'for=127.0.0.1;host=a;proto=http');
  assert.notEqual(headers['x-request-id'], 'mine');
  assert.equal(headers.via, '1.0 before, 1.1 n1');
  // The mirror's JSON is UTF-8, read here as Latin-1.
  assert.equal(Buffer.from(headers['x-kept'] as string, 'latin1').toString(), 'é');
});

test('the answer’s own connection headers stay with the origin, the others come through in order', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', () =>
      socket.write(
        'HTTP/1.1 418 Short and Stout\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n' +
          'Set-Cookie: a=1\r\nset-COOKIE: b=2\r\nX-Latin: \xe9\r\nServer: pot\r\nContent-Length: 3\r\n\r\ntea',
        'latin1',
      ),
    );
  });
  const { port } = await startEdge(t, routed(origin.at));
  const reply = await sendRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(reply, /^HTTP\/1\.1 418 Short and Stout\r\n/);
  assert.doesNotMatch(reply, /x-hop|timeout=1/i);
  assert.match(reply, /Set-Cookie: a=1\r\nset-COOKIE: b=2\r\nX-Latin: \xe9\r\nServer: pot\r\n/);
  assert.match(reply, /\r\n\r\ntea$/);
});

test('bodies pass unchanged, with a length or in chunks, both ways', async (t) => {
  const origin = await httpOrigin(t, async (request, response) => {
    const body = await bodyOf(request);
    const headers = {
      'x-te': request.headers['transfer-encoding'] ?? '',
      'x-cl': request.headers['content-length'] ?? '',
    };
    const sum = createHash('sha256').update(body).digest('hex');
    response.writeHead(
      200,
      request.url === '/length' ? { ...headers, 'content-length': body.length } : headers,
    );
    response.write(body);
    response.end(sum.slice(0, 0));
  });
  const { port } = await startEdge(t, routed(origin.at));
  for (const size of [0, 1, 1_000, 65_536, 3_000_000]) {
    const body = randomBytes(size);
    const withLength = await ask(port, {
      method: 'POST',
      path: '/length',
      headers: { 'content-length': size },
      body,
    });
    assert.ok(Buffer.from(withLength.body, 'latin1').equals(body), `${size} with length`);
    assert.equal(withLength.headers['x-cl'], String(size));
    assert.equal(withLength.headers['content-length'], String(size));
    const inChunks = await ask(port, {
      method: 'POST',
      headers: { 'transfer-encoding': 'chunked' },
      body,
    });
    assert.ok(Buffer.from(inChunks.body, 'latin1').equals(body), `${size} in chunks`);
    assert.equal(inChunks.headers['content-length'], undefined);
  }
});

test('every method passes, with and without a body', async (t) => {
  const origin = await mirror(t);
  const { port } = await startEdge(t, routed(origin.at));
  for (const method of [
    'GET',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'PROPFIND',
    'QUERY',
    'M-SEARCH',
  ]) {
    const bare = mirrored(await ask(port, { method }));
    assert.equal(bare.method, method);
    assert.equal(bare.body, '');
    const full = mirrored(
      await ask(port, { method, body: 'hello', headers: { 'content-length': 5 } }),
    );
    assert.equal(full.body, 'hello', method);
  }
});

test('HEAD, 204 and 304 have no body and keep the connection usable', async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
    else response.writeHead(200, { 'content-length': 1_000 }).end();
  });
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write('HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await client.receives('\r\n\r\n'), /content-length: 1000\r\n/i);
  client.write('GET /204 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receives(/204 No Content\r\n.*\r\n\r\n/s);
  client.write('GET /304 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receives(/304 Not Modified\r\n.*etag.*\r\n\r\n/s);
  client.write('HEAD /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const text = await client.all();
  assert.equal(text.match(/HTTP\/1\.1 \d/g)?.length, 4);
  assert.doesNotMatch(text, /\r\n0\r\n/);
});

test('HTTP/1.0 clients get answers without chunks', async (t) => {
  const origin = await httpOrigin(t, (_, response) => {
    response.write('in ');
    response.end('chunks');
  });
  const { port } = await startEdge(t, routed(origin.at));
  const reply = await sendRaw(t, port, 'GET / HTTP/1.0\r\n\r\n');
  assert.match(reply, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(reply, /transfer-encoding/i);
  assert.match(reply, /\r\n\r\nin chunks$/);
});

test('an origin that closes to end its answer is passed on whole', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end'));
  });
  const { port } = await startEdge(t, routed(origin.at));
  assert.equal((await ask(port)).body, 'until the end');
});

test('interim answers do not stand for the final one', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
      socket.write(
        'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal',
      );
    });
  });
  const { port } = await startEdge(t, routed(origin.at));
  assert.equal((await ask(port)).body, 'final');
});

test('100-continue is answered when the body is wanted, and not when it is refused', async (t) => {
  const origin = await mirror(t);
  const { port } = await startEdge(t, routed(origin.at, { limits: { bodyBytes: 10 } }));
  const client = await RawClient.connect(t, port);
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n';
  client.write(`${head}Content-Length: 5\r\n\r\n`);
  await client.receives('HTTP/1.1 100 Continue\r\n\r\n');
  client.write('hello');
  assert.match(await client.all(), /HTTP\/1\.1 200 OK.*hello/s);
  const refused = await sendRaw(t, port, `${head}Content-Length: 50\r\n\r\n`);
  assert.match(refused, /^HTTP\/1\.1 413 /);
});

test('an answer before the end of the request is passed on and the connection closed', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () =>
      socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    );
  });
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart');
  const text = await client.all();
  assert.match(text, /^HTTP\/1\.1 403 .*\r\n\r\nno$/s);
  await until(() => origin.sockets.size === 0);
});

test('routes by host and path, strips a prefix, and answers 404 for what is not configured', async (t) => {
  const [one, two] = [await mirror(t), await mirror(t)];
  const { port } = await startEdge(t, {
    sites: {
      'app.example': {
        routes: {
          '/api/*': { to: one.at, stripPrefix: '/api' },
          '/users/*/avatar': two.at,
        },
      },
      '*.example': { routes: { '/*': two.at } },
    },
  });
  const get = (host: string, path: string) => ask(port, { path, headers: { host } });
  assert.equal(mirrored(await get('app.example', '/api/x?y')).url, '/x?y');
  assert.equal(mirrored(await get('App.Example:8080', '/api')).url, '/');
  assert.equal(mirrored(await get('app.example', '/api/')).url, '/');
  assert.equal(mirrored(await get('app.example', '//api//x')).url, '/x');
  assert.equal(mirrored(await get('app.example', '/users/7/avatar')).url, '/users/7/avatar');
  assert.equal((await get('app.example', '/other')).status, 404);
  assert.equal(mirrored(await get('x.example', '/other')).url, '/other');
  assert.equal((await get('elsewhere.test', '/')).status, 404);
  const sneaky = await sendRaw(
    t,
    port,
    'GET /users/../api/%2e%2e/%61pi/x HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n',
  );
  assert.match(sneaky, /"url":"\/x"/);
});

test('sends the Host that the route asks for', async (t) => {
  const origin = await mirror(t);
  const { port } = await startEdge(t, {
    sites: {
      '*': {
        routes: {
          '/preserve': origin.at,
          '/origin': { to: origin.at, host: 'origin' },
          '/name': { to: origin.at, host: { name: 'inner.example' } },
        },
      },
    },
  });
  const hostAt = async (path: string) =>
    mirrored(await ask(port, { path, headers: { host: 'app.example' } })).headers.host;
  assert.equal(await hostAt('/preserve'), 'app.example');
  assert.equal(await hostAt('/origin'), origin.at);
  assert.equal(await hostAt('/name'), 'inner.example');
});

test('redirects by route and to https', async (t) => {
  const { port, records } = await startEdge(t, {
    sites: {
      'old.example': {
        routes: {
          '/*': { redirect: 'https://new.example{path}{query}' },
          '/see': { redirect: { to: '/other?from={host}', status: 303 } },
        },
      },
      'tls.example': { redirectToHttps: true, routes: { '/*': '127.0.0.1:1' } },
    },
  });
  const get = (host: string, path: string) => ask(port, { path, headers: { host } });
  const moved = await get('old.example', '/a/b?c=d');
  assert.equal(moved.status, 308);
  assert.equal(moved.headers.location, 'https://new.example/a/b?c=d');
  const see = await get('old.example', '/see');
  assert.equal(see.status, 303);
  assert.equal(see.headers.location, '/other?from=old.example');
  const secure = await get('tls.example:8080', '/a?b');
  assert.equal(secure.status, 308);
  assert.equal(secure.headers.location, 'https://tls.example/a?b');
  await until(() => records.length === 3);
  assert.deepEqual(
    records.map((record) => record.status),
    [308, 303, 308],
  );
});

test('a redirect never leads to a host that the client chose by its path', async (t) => {
  const { port } = await startEdge(t, {
    sites: { '*': { redirectToHttps: true, routes: { '/*': { redirect: '{path}{query}' } } } },
  });
  const plain = await startEdge(t, {
    sites: { '*': { routes: { '/*': { redirect: '{path}{query}' } } } },
  });
  const evil = 'GET //evil.example/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
  assert.match(await sendRaw(t, port, evil), /location: https:\/\/a\/\/?evil\.example\/x\r\n/i);
  assert.doesNotMatch(await sendRaw(t, plain.port, evil), /location: \/\/evil/i);
  const nameless = await sendRaw(t, port, 'GET //evil.example/x HTTP/1.0\r\n\r\n');
  assert.doesNotMatch(nameless, /location: https:\/\/\//i);
});

test('the body of an answer flows only as fast as the client reads', async (t) => {
  let written = 0;
  const origin = await rawOrigin(t, (socket) => {
    const chunk = Buffer.alloc(65_536, 0x61);
    const pour = () => {
      while (socket.writable && written < 400_000_000) {
        written += chunk.length;
        if (!socket.write(chunk)) return;
      }
    };
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n');
      pour();
    });
    socket.on('drain', pour);
  });
  const edge = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, edge.port);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receives('aaaa');
  client.socket.pause();
  let before = -1;
  await until(() => {
    const still = before === written;
    before = written;
    return still && written > 0;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(written < 60_000_000, `${written} bytes were taken for a client that does not read`);
  client.socket.destroy();
  await until(() => origin.sockets.size === 0, 'the origin connection is freed');
});

test('the body of a request flows only as fast as the origin reads', async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.pause());
  const edge = await startEdge(t, routed(origin.at, { timeouts: { bodyIdleMs: 1_000 } }));
  const client = await RawClient.connect(t, edge.port);
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000000\r\n\r\n');
  let sent = 0;
  const chunk = Buffer.alloc(65_536, 0x61);
  const pour = () => {
    while (sent < 400_000_000) {
      sent += chunk.length;
      if (!client.socket.write(chunk)) return;
    }
  };
  client.socket.on('drain', pour);
  pour();
  let before = -1;
  await until(() => {
    const still = before === sent;
    before = sent;
    return still;
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(sent < 60_000_000, `${sent} bytes were taken for an origin that does not read`);
  client.socket.destroy();
  // Nothing is read from the client meanwhile, so its end is found by the silence.
  await until(() => edge.edge.status().requestsInFlight === 0);
});

test('a server-sent event arrives when it is sent', async (t) => {
  let send = (_: string) => {};
  const origin = await httpOrigin(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    send = (text) => response.write(text);
  });
  const { port } = await startEdge(t, routed(origin.at));
  const client = await RawClient.connect(t, port);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receives('text/event-stream');
  send('data: one\n\n');
  await client.receives('data: one\n\n');
  send('data: two\n\n');
  await client.receives('data: two\n\n');
});

test('connections to an origin are kept and used again', async (t) => {
  const origin = await mirror(t);
  const { port } = await startEdge(t, routed(origin.at));
  for (let i = 0; i < 5; i++) await ask(port);
  assert.equal(origin.accepted(), 1);
});

test('a client that vanishes frees its origin connection, whatever it was doing', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', (chunk) => {
      if (chunk.includes('/half'))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    });
  });
  const { port, edge, records } = await startEdge(t, routed(origin.at));
  const stages = {
    'waiting for the head': ['GET /wait HTTP/1.1\r\nHost: a\r\n\r\n', undefined],
    'within the answer': ['GET /half HTTP/1.1\r\nHost: a\r\n\r\n', 'half'],
    'within its own body': [
      'POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx',
      undefined,
    ],
  } as const;
  for (const [stage, [bytes, seen]] of Object.entries(stages)) {
    for (const way of ['RST', 'FIN'] as const) {
      const client = await RawClient.connect(t, port);
      client.write(bytes);
      await until(() => origin.sockets.size === 1);
      if (seen !== undefined) await client.receives(seen);
      await inTime(new Promise((resolve) => setTimeout(resolve, 20)), 'the request is under way');
      if (way === 'RST') client.socket.resetAndDestroy();
      else client.socket.destroy();
      await until(() => origin.sockets.size === 0, `${stage}, ${way}: origin connection freed`);
      await until(() => edge.status().requestsInFlight === 0, `${stage}, ${way}`);
      assert.equal(edge.status().sites[0]!.routes[0]!.origins[0]!.inFlight, 0);
      await until(() => records.length > 0);
      assert.equal(records.pop()!.outcome, 'client-gone', `${stage}, ${way}`);
    }
  }
});
