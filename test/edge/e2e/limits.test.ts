import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AccessRecord } from '../../../src/edge/access-log.ts';
import {
  ask,
  deadPort,
  type EdgeUnderTest,
  httpOrigin,
  RawClient,
  rawOrigin,
  routed,
  sendRaw,
  startEdge,
  until,
} from './edge-under-test.ts';

const HEAD = 'Host: a\r\nConnection: close\r\n';

/** The one line of the access log that names a refusal. */
async function refusalIn(edge: EdgeUnderTest, code: string): Promise<AccessRecord> {
  await until(() => edge.records.some((record) => record.code === code), `log line with ${code}`);
  return edge.records.find((record) => record.code === code)!;
}

function smallText(reply: string, status: number): void {
  assert.match(reply, new RegExp(`^HTTP/1.1 ${status} `));
  const body = reply.slice(reply.indexOf('\r\n\r\n') + 4);
  assert.match(body, new RegExp(`^${status} `));
  assert.ok(body.length < 300, `${body.length} bytes`);
}

function quickOrigin(t: TestContext) {
  return httpOrigin(t, (request, response) => {
    request.on('error', () => undefined);
    request.resume().on('end', () => response.end('served'));
  });
}

test('a head that is too large gets 431', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), limits: { headBytes: 2_000 } });
  const head = (bytes: number) => `GET / HTTP/1.1\r\n${HEAD}X: ${'x'.repeat(bytes)}\r\n\r\n`;
  assert.match(await sendRaw(t, edge.port, head(1_500)), /^HTTP\/1\.1 200 /);
  smallText(await sendRaw(t, edge.port, head(2_500)), 431);
  assert.equal((await refusalIn(edge, 'ERR_HEAD_SIZE')).limit, 'limits.headBytes');
  smallText(await sendRaw(t, edge.port, head(500_000)), 431);
  const target = `GET /${'x'.repeat(2_500)} HTTP/1.1\r\n${HEAD}\r\n`;
  smallText(await sendRaw(t, edge.port, target), 431);
  const many = `GET / HTTP/1.1\r\n${HEAD}${'a:\r\n'.repeat(3_000)}\r\n`;
  smallText(await sendRaw(t, edge.port, many), 431);
});

test('a declared body that is too large gets 413 and the origin is not asked', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, routed(origin.at, { limits: { bodyBytes: 10 } }));
  const post = (length: number) =>
    `POST / HTTP/1.1\r\n${HEAD}Content-Length: ${length}\r\n\r\n${'x'.repeat(length)}`;
  assert.match(await sendRaw(t, edge.port, post(10)), /^HTTP\/1\.1 200 /);
  const asked = origin.accepted();
  smallText(await sendRaw(t, edge.port, post(11)), 413);
  smallText(await sendRaw(t, edge.port, post(2_000_000)), 413);
  assert.equal(origin.accepted(), asked);
  assert.equal((await refusalIn(edge, 'ERR_BODY_SIZE')).limit, 'limits.bodyBytes');
});

test('a chunked body that grows too large gets 413 and is never complete for the origin', async (t) => {
  let complete = 0;
  const origin = await httpOrigin(t, (request, response) => {
    request.on('error', () => undefined);
    request.resume().on('end', () => {
      complete += 1;
      response.end();
    });
  });
  const edge = await startEdge(t, routed(origin.at, { limits: { bodyBytes: 1_000 } }));
  const chunk = `100\r\n${'x'.repeat(256)}\r\n`;
  const body = `${chunk.repeat(8)}0\r\n\r\n`;
  const bytes = `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${body}`;
  smallText(await sendRaw(t, edge.port, bytes), 413);
  await refusalIn(edge, 'ERR_BODY_SIZE');
  await until(() => origin.sockets.size === 0, 'the origin connection is closed');
  assert.equal(complete, 0);
});

test('a head that comes too slowly gets 408, also byte by byte', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), limits: { headMs: 300 } });
  const client = await RawClient.connect(t, edge.port);
  const head = 'GET / HTTP/1.1\r\nHost: a\r\nX: ';
  let sent = 0;
  const drip = setInterval(() => {
    client.write(head[sent] ?? 'x');
    sent += 1;
  }, 20);
  t.after(() => clearInterval(drip));
  const reply = await client.all();
  clearInterval(drip);
  smallText(reply, 408);
  assert.equal((await refusalIn(edge, 'ERR_HEAD_TIMEOUT')).limit, 'limits.headMs');
  assert.equal(origin.accepted(), 0);
});

test('a connection on which nothing is asked is closed without an answer or a log line', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), limits: { headMs: 200 } });
  const client = await RawClient.connect(t, edge.port);
  assert.equal(await client.all(), '');
  assert.equal(edge.records.length, 0);
});

test('a body that stalls gets 408 and the origin connection is closed', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, routed(origin.at, { timeouts: { bodyIdleMs: 200 } }));
  const client = await RawClient.connect(t, edge.port);
  client.write(`POST / HTTP/1.1\r\n${HEAD}Content-Length: 100\r\n\r\nhalf`);
  smallText(await client.all(), 408);
  assert.equal((await refusalIn(edge, 'ERR_BODY_TIMEOUT')).limit, 'timeouts.bodyIdleMs');
  await until(() => origin.sockets.size === 0);
});

test('an idle keep-alive connection is closed', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), limits: { keepAliveMs: 200 } });
  const client = await RawClient.connect(t, edge.port);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receives('served');
  assert.ok(!client.over);
  await client.all();
});

test('an origin on which nobody listens gets 502', async (t) => {
  const edge = await startEdge(t, routed(`127.0.0.1:${await deadPort(t)}`));
  smallText(await sendRaw(t, edge.port, `GET / HTTP/1.1\r\n${HEAD}\r\n`), 502);
  const record = await refusalIn(edge, 'ERR_ORIGIN_CONNECT');
  assert.match(record.detail ?? '', /ECONNREFUSED/);
});

const brokenAnswers: Record<string, [bytes: string, code: RegExp]> = {
  nothing: ['', /^ERR_ORIGIN_CLOSED$/],
  'half a head': ['HTTP/1.1 200 OK\r\nX: ', /^ERR_ORIGIN_(CLOSED|PROTOCOL)$/],
  nonsense: ['nonsense\r\n\r\n', /^ERR_ORIGIN_PROTOCOL$/],
  'Content-Length and Transfer-Encoding': [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    /^ERR_ORIGIN_PROTOCOL$/,
  ],
  'two Content-Length': [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    /^ERR_ORIGIN_PROTOCOL$/,
  ],
  'a bad header': ['HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n', /^ERR_ORIGIN_PROTOCOL$/],
  'a head without end': [
    `HTTP/1.1 200 OK\r\n${`X: ${'y'.repeat(1_000)}\r\n`.repeat(100)}`,
    /^ERR_ORIGIN_PROTOCOL$/,
  ],
  'a switch nobody asked for': [
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    /^ERR_ORIGIN_(PROTOCOL|CLOSED)$/,
  ],
};
for (const [name, [bytes, code]] of Object.entries(brokenAnswers)) {
  test(`an origin that answers ${name} gets 502`, async (t) => {
    const origin = await rawOrigin(t, (socket) => {
      socket.once('data', () => socket.end(bytes, 'latin1'));
    });
    const edge = await startEdge(t, routed(origin.at));
    smallText(await sendRaw(t, edge.port, `GET / HTTP/1.1\r\n${HEAD}\r\n`), 502);
    await until(() => edge.records.length === 1);
    assert.match(edge.records[0]!.code ?? '', code);
    assert.equal(edge.records[0]!.status, 502);
    await until(() => origin.sockets.size === 0);
  });
}

test('odd bytes in the status line of an origin do no harm', async (t) => {
  const reasons = ['O\x01K', 'O\tK', '\xff', '', 'x'.repeat(5_000), 'O\x7fK'];
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      const which = Number(/^GET \/(\d+)/.exec(chunk.toString('latin1'))?.[1]);
      socket.write(`HTTP/1.1 200 ${reasons[which]}\r\nContent-Length: 2\r\n\r\nok`, 'latin1');
    });
  });
  const edge = await startEdge(t, routed(origin.at));
  for (const which of reasons.keys()) {
    const { status } = await ask(edge.port, { path: `/${which}` });
    assert.ok(status === 200 || status === 502, `${status} for ${JSON.stringify(reasons[which])}`);
  }
  assert.equal((await ask(edge.port, { path: '/3' })).body, 'ok');
});

test('an origin that answers too late gets 504', async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const edge = await startEdge(t, routed(origin.at, { timeouts: { headersMs: 200 } }));
  smallText(await sendRaw(t, edge.port, `GET / HTTP/1.1\r\n${HEAD}\r\n`), 504);
  assert.equal((await refusalIn(edge, 'ERR_ORIGIN_TIMEOUT')).limit, 'timeouts.headersMs');
  await until(() => origin.sockets.size === 0);
});

test('a request that takes longer than it may in all gets 504', async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const edge = await startEdge(t, routed(origin.at, { timeouts: { totalMs: 300 } }));
  smallText(await sendRaw(t, edge.port, `GET / HTTP/1.1\r\n${HEAD}\r\n`), 504);
  assert.equal((await refusalIn(edge, 'ERR_TOTAL_TIMEOUT')).limit, 'timeouts.totalMs');
  await until(() => origin.sockets.size === 0);
});

test('an origin that stalls within its answer breaks the client’s connection', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'));
  });
  const edge = await startEdge(t, routed(origin.at, { timeouts: { bodyIdleMs: 200 } }));
  const reply = await sendRaw(t, edge.port, `GET / HTTP/1.1\r\n${HEAD}\r\n`);
  assert.match(reply, /^HTTP\/1\.1 200 .*half$/s);
  await until(() => edge.records.length === 1);
  assert.equal(edge.records[0]!.limit, 'timeouts.bodyIdleMs');
  assert.match(edge.records[0]!.outcome, /^(cut|origin-failed)$/);
  await until(() => origin.sockets.size === 0);
});

test('a chunked answer that breaks off is never complete for the client', async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', () => {
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    });
  });
  const edge = await startEdge(t, routed(origin.at));
  const reply = await sendRaw(t, edge.port, `GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.match(reply, /hello/);
  assert.doesNotMatch(reply, /\r\n0\r\n/);
  await until(() => edge.records.length === 1);
  assert.equal(edge.records[0]!.outcome, 'origin-failed');
});

test('without a healthy origin the answer is 503 and nobody is asked', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, routed(origin.at));
  const id = edge.edge.status().sites[0]!.routes[0]!.origins[0]!.id;
  edge.edge.setOriginHealth('* /*', id, false);
  const reply = await ask(edge.port);
  assert.equal(reply.status, 503);
  assert.equal(reply.headers['retry-after'], '1');
  await refusalIn(edge, 'ERR_NO_HEALTHY_ORIGIN');
  edge.edge.setOriginHealth('* /*', id, true);
  assert.equal((await ask(edge.port)).status, 200);
});

/** An origin that answers only when told. */
async function slowOrigin(t: TestContext) {
  const waiting: (() => void)[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    waiting.push(() => response.end(`<${request.url}>`));
  });
  return { origin, waiting };
}

test('a full origin is waited for in a queue, in order', async (t) => {
  const { origin, waiting } = await slowOrigin(t);
  const edge = await startEdge(t, routed(origin.at, { limits: { connectionsPerOrigin: 1 } }));
  const replies = [];
  for (const path of ['/1', '/2', '/3']) {
    const sent = replies.length;
    replies.push(ask(edge.port, { path }));
    await until(() => edge.edge.status().requestsInFlight === sent + 1);
  }
  for (const path of ['/1', '/2', '/3']) {
    await until(() => waiting.length === 1);
    waiting.shift()!();
    assert.equal((await replies.shift()!).body, `<${path}>`);
  }
  assert.equal(origin.accepted(), 1);
});

test('a full queue gets 503 at once, a long wait gets 503 later', async (t) => {
  const { origin, waiting } = await slowOrigin(t);
  const edge = await startEdge(
    t,
    routed(origin.at, { limits: { connectionsPerOrigin: 1, queue: 1, queueMs: 400 } }),
  );
  const first = ask(edge.port, { path: '/1' });
  await until(() => waiting.length === 1);
  const second = ask(edge.port, { path: '/2' });
  await until(() => edge.edge.status().requestsInFlight === 2);
  const third = await ask(edge.port, { path: '/3' });
  assert.equal(third.status, 503);
  assert.equal((await refusalIn(edge, 'ERR_QUEUE_FULL')).limit, 'limits.queue');
  assert.equal((await second).status, 503);
  assert.equal((await refusalIn(edge, 'ERR_QUEUE_TIMEOUT')).limit, 'limits.queueMs');
  waiting.shift()!();
  assert.equal((await first).status, 200);
  assert.equal(waiting.length, 0, 'who gave up is not sent to the origin');
});

test('who waits in the queue is served by an origin that becomes healthy', async (t) => {
  const { origin, waiting } = await slowOrigin(t);
  const other = await quickOrigin(t);
  const edge = await startEdge(
    t,
    routed([origin.at, other.at], { limits: { connectionsPerOrigin: 1, queueMs: 60_000 } }),
  );
  const otherId = edge.edge.status().sites[0]!.routes[0]!.origins[1]!.id;
  edge.edge.setOriginHealth('* /*', otherId, false);
  const first = ask(edge.port);
  await until(() => waiting.length === 1);
  const second = ask(edge.port);
  await until(() => edge.edge.status().requestsInFlight === 2);
  edge.edge.setOriginHealth('* /*', otherId, true);
  assert.equal((await second).body, 'served');
  waiting.shift()!();
  await first;
});

test('a client that leaves the queue is forgotten', async (t) => {
  const { origin, waiting } = await slowOrigin(t);
  const edge = await startEdge(
    t,
    routed(origin.at, { limits: { connectionsPerOrigin: 1, queue: 1 } }),
  );
  const first = ask(edge.port, { path: '/1' });
  await until(() => waiting.length === 1);
  const client = await RawClient.connect(t, edge.port);
  client.write('GET /gone HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => edge.edge.status().requestsInFlight === 2);
  client.socket.destroy();
  await until(() => edge.edge.status().requestsInFlight === 1);
  const third = ask(edge.port, { path: '/3' });
  await until(() => edge.edge.status().requestsInFlight === 2);
  waiting.shift()!();
  await first;
  await until(() => waiting.length === 1);
  waiting.shift()!();
  assert.equal((await third).body, '</3>');
});

test('too many connections from one address get 429, too many in all get 503', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, {
    ...routed(origin.at),
    limits: { connectionsPerClient: 2, connections: 3 },
  });
  const open = [await RawClient.connect(t, edge.port), await RawClient.connect(t, edge.port)];
  await until(() => edge.edge.status().connections === 2);
  const refused = await RawClient.connect(t, edge.port);
  smallText(await refused.all(), 429);
  assert.equal(
    (await refusalIn(edge, 'ERR_CLIENT_CONNECTIONS')).limit,
    'limits.connectionsPerClient',
  );
  open[0]!.socket.destroy();
  await until(() => edge.edge.status().connections === 1);
  assert.equal((await ask(edge.port)).status, 200);
});

test('connections of all clients together are limited too', async (t) => {
  const origin = await quickOrigin(t);
  const edge = await startEdge(t, { ...routed(origin.at), limits: { connections: 1 } });
  const open = await RawClient.connect(t, edge.port);
  await until(() => edge.edge.status().connections === 1);
  const refused = await RawClient.connect(t, edge.port);
  smallText(await refused.all(), 503);
  assert.equal((await refusalIn(edge, 'ERR_CONNECTIONS')).limit, 'limits.connections');
  open.socket.destroy();
});

test('a client may send so many requests ahead and no more; the answers keep their order', async (t) => {
  let most = 0;
  let now = 0;
  const origin = await httpOrigin(t, (request, response) => {
    now += 1;
    most = Math.max(most, now);
    setTimeout(() => {
      now -= 1;
      response.end(`<${request.url}>`);
    }, 5);
  });
  const edge = await startEdge(t, routed(origin.at));
  const ahead = Array.from({ length: 20 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const client = await RawClient.connect(t, edge.port);
  client.write(ahead.join(''));
  const text = await client.receives('</19>');
  const order = [...text.matchAll(/<\/(\d+)>/g)].map((match) => Number(match[1]));
  assert.deepEqual(order, [...Array(20).keys()]);
  assert.equal(most, 1, 'one client has one request at an origin');
  const flood = await RawClient.connect(t, edge.port);
  flood.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2_000));
  await until(() => flood.closed || flood.over);
  await until(() => edge.edge.status().requestsInFlight === 0);
});
