import assert from 'node:assert/strict';
import type http from 'node:http';
import { type TestContext, test } from 'node:test';
import {
  ask,
  bodyOf,
  deadPort,
  httpOrigin,
  rawOrigin,
  routed,
  startEdge,
  until,
} from './edge-under-test.ts';

/** An origin that counts what it is asked and tells its name. */
async function named(t: TestContext, name: string) {
  const asked: string[] = [];
  const origin = await httpOrigin(t, async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    await bodyOf(request).catch(() => undefined);
    response.end(name);
  });
  return { ...origin, asked };
}

/** An origin that reads a request and closes without an answer. */
async function closing(t: TestContext) {
  const asked: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    socket.once('data', (chunk) => {
      asked.push(chunk.toString('latin1').split('\r\n')[0]!);
      socket.destroy();
    });
  });
  return { ...origin, asked };
}

test('a request that never reached an origin is tried at another, whatever its method', async (t) => {
  const good = await named(t, 'good');
  const dead = `127.0.0.1:${await deadPort(t)}`;
  const { port, records } = await startEdge(
    t,
    routed([dead, good.at], { ejection: { failures: 0 } }),
  );
  for (const method of ['GET', 'POST', 'PATCH']) {
    for (let i = 0; i < 2; i++) {
      const body = method === 'GET' ? undefined : 'hello';
      const reply = await ask(port, { method, ...(body === undefined ? {} : { body }) });
      assert.equal(reply.status, 200, method);
      assert.equal(reply.body, 'good');
    }
  }
  await until(() => records.length === 6);
  const retries = records.map((record) => record.retries);
  assert.equal(
    retries.reduce((sum, n) => (sum ?? 0) + (n ?? 0), 0),
    3,
    'round-robin began at the dead one every second time',
  );
});

test('an idempotent request without body that an origin dropped is tried at another', async (t) => {
  const [bad, good] = [await closing(t), await named(t, 'good')];
  const { port } = await startEdge(t, routed([bad.at, good.at], { ejection: { failures: 0 } }));
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'PUT']) {
    for (let i = 0; i < 2; i++) {
      const reply = await ask(port, { method });
      assert.equal(reply.status, 200, method);
    }
  }
  assert.equal(bad.asked.length, 5);
});

test('a POST that an origin may have acted on is not repeated', async (t) => {
  const [bad, good] = [await closing(t), await named(t, 'good')];
  const { port } = await startEdge(t, routed([bad.at, good.at], { ejection: { failures: 0 } }));
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) statuses.push((await ask(port, { method: 'POST' })).status);
  assert.deepEqual(statuses.toSorted(), [200, 200, 502, 502]);
  assert.equal(good.asked.length, 2);
  assert.equal(bad.asked.length, 2);
});

test('a body that was begun is not sent a second time, whatever the method', async (t) => {
  const [bad, good] = [await closing(t), await named(t, 'good')];
  const { port } = await startEdge(t, routed([bad.at, good.at], { ejection: { failures: 0 } }));
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    statuses.push((await ask(port, { method: 'PUT', body: 'x'.repeat(100_000) })).status);
  }
  assert.deepEqual(statuses.toSorted(), [200, 200, 502, 502]);
  assert.equal(bad.asked.length + good.asked.length, 4);
});

test('nothing is repeated once a part of the answer was sent', async (t) => {
  const half = await rawOrigin(t, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'));
  });
  const good = await named(t, 'good');
  const { port, records } = await startEdge(
    t,
    routed([half.at, good.at], { ejection: { failures: 0 } }),
  );
  const results = [];
  for (let i = 0; i < 4; i++) {
    results.push(
      await ask(port)
        .then(({ body }) => body)
        .catch(() => 'broken'),
    );
  }
  assert.deepEqual(results.toSorted(), ['broken', 'broken', 'good', 'good']);
  assert.equal(good.asked.length, 2);
  await until(() => records.length === 4);
  assert.equal(records.filter(({ outcome }) => outcome === 'origin-failed').length, 2);
});

test('no more attempts than configured, and none with attempts 0', async (t) => {
  const bad = await Promise.all([closing(t), closing(t), closing(t), closing(t)]);
  const asked = () => bad.reduce((sum, origin) => sum + origin.asked.length, 0);
  const to = bad.map((origin) => origin.at);
  const three = await startEdge(
    t,
    routed(to, { ejection: { failures: 0 }, retry: { attempts: 2 } }),
  );
  assert.equal((await ask(three.port)).status, 502);
  assert.equal(asked(), 3);
  const one = await startEdge(t, routed(to, { ejection: { failures: 0 }, retry: { attempts: 0 } }));
  assert.equal((await ask(one.port)).status, 502);
  assert.equal(asked(), 4);
});

test('a retry goes to an origin that was not tried yet', async (t) => {
  const bad = await Promise.all([closing(t), closing(t), closing(t)]);
  const { port } = await startEdge(
    t,
    routed(
      bad.map((origin) => origin.at),
      { ejection: { failures: 0 }, balance: 'hash-client' },
    ),
  );
  await ask(port);
  assert.deepEqual(
    bad.map((origin) => origin.asked.length),
    [1, 1, 1],
  );
});

test('when everything fails the budget keeps retries few', async (t) => {
  const bad = await Promise.all([closing(t), closing(t)]);
  const { port } = await startEdge(
    t,
    routed(
      bad.map((origin) => origin.at),
      { ejection: { failures: 0 }, retry: { attempts: 1, budgetRatio: 0.1 } },
    ),
  );
  for (let i = 0; i < 60; i++) await ask(port);
  const asked = bad.reduce((sum, origin) => sum + origin.asked.length, 0);
  // Ten to begin with, and a tenth of sixty.
  assert.ok(asked >= 70 && asked <= 77, String(asked));
});

test('an origin that fails several times is ejected, and the log says so', async (t) => {
  const [bad, good] = [await closing(t), await named(t, 'good')];
  const { port, logs, edge } = await startEdge(
    t,
    routed([bad.at, good.at], { ejection: { failures: 2, baseMs: 60_000 } }),
  );
  for (let i = 0; i < 10; i++) assert.equal((await ask(port)).status, 200);
  assert.equal(bad.asked.length, 2);
  assert.equal(logs.filter(({ msg }) => msg === 'origin ejected').length, 1);
  const origins = edge.status().sites[0]!.routes[0]!.origins;
  assert.ok(origins[0]!.ejectedForMs > 50_000);
});

test('a status of 500 is an answer: neither a retry nor an ejection', async (t) => {
  let asked = 0;
  const origins = await Promise.all(
    [1, 2].map(() =>
      httpOrigin(t, (_, response) => {
        asked += 1;
        response.writeHead(500).end();
      }),
    ),
  );
  const { port, edge } = await startEdge(
    t,
    routed(
      origins.map((origin) => origin.at),
      { ejection: { failures: 1 } },
    ),
  );
  for (let i = 0; i < 4; i++) assert.equal((await ask(port)).status, 500);
  assert.equal(asked, 4);
  assert.ok(edge.status().sites[0]!.routes[0]!.origins.every(({ failures }) => failures === 0));
});

test('a client that goes away is not held against its origin', async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const { port, edge } = await startEdge(t, routed(origin.at, { ejection: { failures: 1 } }));
  for (let i = 0; i < 3; i++) {
    const controller = new AbortController();
    const reply = ask(port, { signal: controller.signal }).catch(() => undefined);
    await until(() => origin.sockets.size === 1);
    controller.abort();
    await reply;
    await until(() => origin.sockets.size === 0);
  }
  assert.equal(edge.status().sites[0]!.routes[0]!.origins[0]!.failures, 0);
});

test('round-robin, and a stale kept connection is not a failure for the client', async (t) => {
  const [a, b] = [await named(t, 'a'), await named(t, 'b')];
  const { port } = await startEdge(t, routed([a.at, b.at]));
  const names: string[] = [];
  for (let i = 0; i < 6; i++) names.push((await ask(port)).body);
  assert.match(names.join(''), /^(ab)+a?$|^(ba)+b?$/);
  for (const origin of [a, b]) for (const socket of origin.sockets) socket.destroy();
  for (let i = 0; i < 4; i++) assert.equal((await ask(port)).status, 200);
});

const cookieOf = (headers: http.IncomingHttpHeaders) => headers['set-cookie']?.[0]?.split(';')[0];

test('a sticky cookie keeps a browser at its origin, and moves it when that is gone', async (t) => {
  const [a, b, c] = [await named(t, 'a'), await named(t, 'b'), await named(t, 'c')];
  const { port, edge } = await startEdge(
    t,
    routed([a.at, b.at, { url: c.at, id: 'third' } as unknown as string], { sticky: true }),
  );
  const first = await ask(port);
  const cookie = cookieOf(first.headers)!;
  assert.match(
    first.headers['set-cookie']![0]!,
    /^holdfast-origin=\w+; Path=\/; HttpOnly; SameSite=Lax$/,
  );
  for (let i = 0; i < 5; i++) {
    const again = await ask(port, { headers: { cookie: `x=1; ${cookie}` } });
    assert.equal(again.body, first.body);
    assert.equal(again.headers['set-cookie'], undefined);
  }
  assert.equal((await ask(port, { headers: { cookie: 'holdfast-origin=third' } })).body, 'c');
  const id = cookie.split('=')[1]!;
  edge.setOriginHealth('* /*', id, false);
  const moved = await ask(port, { headers: { cookie } });
  assert.notEqual(moved.body, first.body);
  assert.notEqual(cookieOf(moved.headers), cookie);
});

test('hashes spread clients by header and keep each in its place', async (t) => {
  const [a, b] = [await named(t, 'a'), await named(t, 'b')];
  const { port } = await startEdge(t, routed([a.at, b.at], { balance: { hashHeader: 'X-User' } }));
  const seen = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const headers = { 'x-user': `user${i}` };
    const first = (await ask(port, { headers })).body;
    seen.add(first);
    assert.equal((await ask(port, { headers })).body, first);
  }
  assert.equal(seen.size, 2);
});

test('least-connections avoids the busy origin', async (t) => {
  let release = () => {};
  const busy = await httpOrigin(t, (_, response) => {
    release = () => response.end('busy');
  });
  const free = await named(t, 'free');
  const { port, edge } = await startEdge(
    t,
    routed([busy.at, free.at], { balance: 'least-connections' }),
  );
  const held: Promise<unknown>[] = [];
  while (edge.status().sites[0]!.routes[0]!.origins[0]!.inFlight === 0) {
    held.push(ask(port));
    await until(
      () =>
        edge.status().sites[0]!.routes[0]!.requests + edge.status().requestsInFlight >= held.length,
    );
  }
  for (let i = 0; i < 5; i++) assert.equal((await ask(port)).body, 'free');
  release();
  await Promise.all(held);
});
