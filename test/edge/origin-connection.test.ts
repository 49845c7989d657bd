import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import net, { type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Exchange } from '../../src/edge/exchange.ts';
import { RequestBody } from '../../src/edge/request-body.ts';
import { until } from './e2e/edge-under-test.ts';
import { Answer, ask, begin, clientOf, linkTo, rawOrigin } from './origin-under-test.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const ok = (socket: Socket) => {
  socket.write(OK);
};

/** A link whose idle connections end with the test. */
function link(t: TestContext, url: string, route: object = {}) {
  const made = linkTo(url, route);
  t.after(() => made.close());
  return made;
}

test('requests that follow each other share a connection, those at once do not', async (t) => {
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url);
  for (let i = 0; i < 5; i++) assert.equal((await ask(to)).body, 'ok');
  assert.equal(origin.sockets.length, 1);
  await Promise.all([ask(to), ask(to), ask(to)]);
  assert.equal(origin.sockets.length, 3);
  await Promise.all([ask(to), ask(to), ask(to)]);
  assert.equal(origin.sockets.length, 3);
});

test('an answer that begins the next request within its end gets the same connection', async (t) => {
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url);
  const second = new Answer();
  const first = new (class extends Answer {
    override originEnd(): void {
      super.originEnd();
      begin(to, { handler: second });
    }
  })();
  begin(to, { handler: first });
  assert.equal((await second.over).body, 'ok');
  assert.equal(origin.sockets.length, 1);
});

const endings: Record<string, string> = {
  'Connection: close': 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.0': 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'bytes behind it': `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`,
  'a body in answer to HEAD': OK,
  'a keep-alive time too short to use': `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok`,
};
for (const [name, bytes] of Object.entries(endings)) {
  test(`an answer with ${name} is given, and its connection closed`, async (t) => {
    const origin = await rawOrigin(t, (socket) => socket.write(bytes, 'latin1'));
    const to = link(t, origin.url);
    const method = name.includes('HEAD') ? 'HEAD' : 'GET';
    for (let i = 0; i < 2; i++) {
      const answer = await ask(to, { method });
      assert.equal(answer.body, method === 'HEAD' ? '' : 'ok');
      assert.equal(answer.told.at(-1), 'end');
    }
    assert.equal(origin.sockets.length, 2);
    await until(() => origin.sockets.every((socket) => socket.closed));
  });
}

test('bytes on an idle connection end it and answer nobody', async (t) => {
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url);
  await ask(to);
  origin.sockets[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison');
  // They arrive here before anything that is asked two turns of the event loop later.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal((await ask(to)).body, 'ok');
  assert.equal(origin.sockets.length, 2);
  await until(() => origin.sockets[0]!.closed);
});

test('an idle connection that the origin ends is forgotten', async (t) => {
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url);
  for (const end of ['end', 'resetAndDestroy'] as const) {
    await ask(to);
    const last = origin.sockets.at(-1)!;
    const closed = new Promise((resolve) => last.once('close', resolve));
    last[end]();
    await closed;
    // Its end arrives here before anything that is asked two turns of the event loop later.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.equal((await ask(to, { method: 'POST' })).body, 'ok');
  }
  assert.equal(origin.sockets.length, 3);
});

/** Answers the first request of each connection and breaks off at the next. */
const onlyOnce = (way: 'destroy' | 'resetAndDestroy' | 'end') => {
  return (socket: Socket, { request }: { request: number }) => {
    if (request === 0) ok(socket);
    else socket[way]();
  };
};

for (const way of ['destroy', 'resetAndDestroy', 'end'] as const) {
  test(`a kept connection that had ended is replaced once for GET (${way})`, async (t) => {
    const origin = await rawOrigin(t, onlyOnce(way));
    const to = link(t, origin.url);
    await ask(to);
    const again = await ask(to);
    assert.equal(again.body, 'ok');
    assert.deepEqual(again.told, ['head', 'body', 'end']);
    assert.equal(origin.sockets.length, 2);
    assert.equal(origin.requests(), 3);
  });
}

test('a POST on a kept connection that had ended is not repeated', async (t) => {
  const origin = await rawOrigin(t, onlyOnce('destroy'));
  const to = link(t, origin.url);
  await ask(to);
  const { call, answer } = begin(to, { method: 'POST' });
  assert.match((await answer.over).error?.code ?? '', /^(ERR_ORIGIN_CLOSED|ECONNRESET)$/);
  assert.equal(call.sent, true);
  assert.equal(origin.requests(), 2);
});

test('a connection that breaks within an answer, or the first time, is not replaced', async (t) => {
  const origin = await rawOrigin(t, (socket, { connection, request }) => {
    if (request === 0 && connection === 0) ok(socket);
    else if (connection === 0) socket.end('HTTP/1.1 200 OK\r\nContent-');
    else socket.destroy();
  });
  const to = link(t, origin.url);
  await ask(to);
  assert.equal((await ask(to)).error?.code, 'ERR_ORIGIN_CLOSED');
  assert.match((await ask(to)).error?.code ?? '', /^(ERR_ORIGIN_CLOSED|ECONNRESET)$/);
  assert.equal(origin.requests(), 3);
});

test('an abort ends the connection, also while it is being made, and nothing more is told', async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.write('HTTP/1.1 200 OK\r\n'));
  const to = link(t, origin.url);
  const early = begin(to);
  early.call.abort();
  const late = begin(to);
  await until(() => origin.requests() === 1);
  late.call.abort();
  late.call.abort();
  await until(() => origin.sockets.every((socket) => socket.closed));
  assert.deepEqual(early.answer.told, []);
  assert.deepEqual(late.answer.told, []);
});

test('a handler that throws is told of an error and ends only its own connection', async (t) => {
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url);
  for (const event of ['originHead', 'originBody'] as const) {
    const handler = new Answer();
    handler[event] = () => {
      throw new Error(`thrown by ${event}`);
    };
    const answer = await ask(to, { handler });
    assert.equal(answer.error?.message, `thrown by ${event}`);
    assert.equal(answer.told.at(-1), 'error');
  }
  assert.equal((await ask(to)).body, 'ok');
  assert.equal(origin.sockets.length, 3);
});

test('a refused connection and a handshake that takes too long are errors before anything was sent', async (t) => {
  const silent = await rawOrigin(t, () => undefined);
  const slow = link(t, silent.url.replace('http:', 'https:'), { timeouts: { connectMs: 50 } });
  const late = begin(slow);
  assert.equal((await late.answer.over).error?.code, 'ERR_ORIGIN_CONNECT_TIMEOUT');
  assert.equal(late.call.sent, false);
  await until(() => silent.sockets.every((socket) => socket.closed));

  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const refused = begin(link(t, `http://127.0.0.1:${port}`));
  assert.equal((await refused.answer.over).error?.code, 'ECONNREFUSED');
  assert.equal(refused.call.sent, false);
});

test('with PROXY protocol a connection serves one client and goes with it', async (t) => {
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url, { proxyProtocol: 'v1' });
  const [first, second] = [clientOf(1001), clientOf(1002)];
  for (let i = 0; i < 2; i++) {
    await ask(to, { client: first });
    await ask(to, { client: second });
  }
  assert.equal(origin.sockets.length, 2);
  assert.match(origin.seen[0]!, /^PROXY TCP4 192\.0\.2\.1 192\.0\.2\.2 1001 80\r\nGET /);
  assert.match(origin.seen[1]!, /^PROXY TCP4 192\.0\.2\.1 192\.0\.2\.2 1002 80\r\nGET /);
  assert.equal(origin.seen.join('').split('PROXY').length, 3);
  first.closed();
  await until(() => origin.sockets[0]!.closed);
  assert.equal((await ask(to, { client: second })).body, 'ok');
  assert.equal(origin.sockets.length, 2);
});

test('a link that was closed finishes what it carries, keeps nothing and can still be asked', async (t) => {
  let release = () => {};
  const origin = await rawOrigin(t, (socket, { request }) => {
    if (request === 0) ok(socket);
    else release = () => ok(socket);
  });
  const to = link(t, origin.url);
  await Promise.all([ask(to), ask(to)]);
  const held = begin(to);
  await until(() => origin.requests() === 3);
  to.close();
  await until(() => origin.sockets.filter((socket) => socket.closed).length === 1);
  release();
  assert.equal((await held.answer.over).body, 'ok');
  assert.equal((await ask(to)).body, 'ok');
  await until(() => origin.sockets.every((socket) => socket.closed));
});

test('more idle connections than are kept: the oldest go', async (t) => {
  const waiting: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => waiting.push(socket));
  const to = link(t, origin.url);
  const answers = Array.from({ length: 260 }, () => ask(to));
  await until(() => waiting.length === 260);
  for (const socket of waiting.splice(0)) ok(socket);
  await Promise.all(answers);
  await until(() => origin.sockets.filter((socket) => socket.closed).length === 4);
});

/** The body of a request that a test sends piece by piece. */
function bodyInPieces() {
  const request = Object.assign(new EventEmitter(), {
    pause: () => undefined,
    resume: () => undefined,
  });
  const exchange = {
    request,
    headers: { 'transfer-encoding': 'chunked' },
    continueBody: () => undefined,
  };
  return { request, body: new RequestBody(exchange as unknown as Exchange, 100) };
}

test('a body is sent in chunks, and the connection is used again when both ends were reached', async (t) => {
  const { request, body } = bodyInPieces();
  const origin = await rawOrigin(t, (socket, { request: n }) => {
    // The head, and then the end of the chunks, which looks like the end of a head.
    if (n !== 0) ok(socket);
  });
  const to = link(t, origin.url);
  const { answer } = begin(to, { method: 'POST', body });
  await until(() => origin.seen[0]?.includes('\r\n\r\n') === true);
  request.emit('data', Buffer.from('hello'));
  request.emit('data', Buffer.from(''));
  request.emit('data', Buffer.from('0123456789abcdef'));
  request.emit('end');
  assert.equal((await answer.over).body, 'ok');
  assert.match(origin.seen[0]!, /\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n$/);
  assert.equal((await ask(to)).body, 'ok');
  assert.equal(origin.sockets.length, 1);
});

test('an answer before the end of the request is given whole; what follows cannot become a request', async (t) => {
  const { request, body } = bodyInPieces();
  const origin = await rawOrigin(t, ok);
  const to = link(t, origin.url);
  const { answer } = begin(to, { method: 'POST', body });
  assert.equal((await answer.over).body, 'ok');
  assert.equal(request.listenerCount('data'), 0);
  await ask(to);
  assert.equal(origin.sockets.length, 2);
  await until(() => origin.sockets[0]!.closed);
});

test('a body that grows too large ends the connection before its last byte', async (t) => {
  const { request, body } = bodyInPieces();
  const origin = await rawOrigin(t, () => undefined);
  const { answer } = begin(link(t, origin.url), { method: 'POST', body });
  await until(() => origin.requests() === 1);
  request.emit('data', Buffer.alloc(60));
  request.emit('data', Buffer.alloc(60));
  assert.equal((await answer.over).error?.code, 'ERR_BODY_SIZE');
  await until(() => origin.sockets[0]!.closed);
  assert.doesNotMatch(origin.seen[0]!, /\r\n0\r\n\r\n$/);
});

test('a switch hands over the socket with what came behind the head, and keeps nothing of it', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.write('HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly');
  });
  const answer = await ask(link(t, origin.url), { isUpgrade: true });
  const { socket, early } = answer.upgraded!;
  t.after(() => socket.destroy());
  assert.equal(early, 'early');
  assert.deepEqual(answer.told, ['upgrade']);
  assert.equal(socket.destroyed, false);
  for (const event of ['data', 'drain']) assert.equal(socket.listenerCount(event), 0, event);
});
