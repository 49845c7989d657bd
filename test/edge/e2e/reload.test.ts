import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  ask,
  httpOrigin,
  inTime,
  RawClient,
  rawOrigin,
  routed,
  startEdge,
  until,
} from './edge-under-test.ts';

const UPGRADE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Streams on every path, a tunnel for every upgrade; says what it is told to. */
async function streaming(t: TestContext, name: string) {
  const writers: ((text: string) => void)[] = [];
  const origin = await rawOrigin(t, (socket) => {
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (text.startsWith('GET /ws')) {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
        );
        const frame = (words: string) =>
          socket.write(`\x81${String.fromCharCode(words.length)}${words}`, 'latin1');
        frame(`${name} open;`);
        writers.push(frame);
      } else if (text.startsWith('GET /stream')) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${name} open;`);
        writers.push((words) => socket.write(words));
      } else if (text.startsWith('GET ')) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`);
      }
    });
  });
  const say = (words: string) => {
    for (const write of writers) write(words);
  };
  return { ...origin, say };
}

async function open(t: TestContext, port: number, bytes: string, name: string): Promise<RawClient> {
  const client = await RawClient.connect(t, port);
  client.write(bytes);
  await client.receives(`${name} open;`);
  return client;
}

const STREAM = 'GET /stream HTTP/1.1\r\nHost: a\r\n\r\n';

test('streams on a route that did not change go on over a reload, with their connections', async (t) => {
  const [one, two] = [await streaming(t, 'one'), await streaming(t, 'two')];
  const routes = { '/stream': one.at, '/ws': one.at, '/kept': one.at };
  const edge = await startEdge(t, { sites: { '*': { routes } } });
  const stream = await open(t, edge.port, STREAM, 'one');
  const tunnel = await open(t, edge.port, UPGRADE, 'one');
  await edge.edge.apply(
    edge.config({
      sites: { '*': { routes: { ...routes, '/new': two.at } } },
      drain: { deadlineMs: 0 },
    }),
  );
  one.say('after the reload;');
  await stream.receives('after the reload;');
  await tunnel.receives('after the reload;');
  assert.equal((await ask(edge.port, { path: '/new' })).body, 'two');
  assert.equal((await ask(edge.port, { path: '/kept' })).body, 'one');
  await new Promise((resolve) => setTimeout(resolve, 600));
  one.say('and later;');
  await stream.receives('and later;');
  await tunnel.receives('and later;');
});

test('streams on a route that changed may finish until the deadline, new requests go the new way', async (t) => {
  const [one, two] = [await streaming(t, 'one'), await streaming(t, 'two')];
  const edge = await startEdge(t, { ...routed(one.at), drain: { deadlineMs: 1_500 } });
  const stream = await open(t, edge.port, STREAM, 'one');
  const tunnel = await open(t, edge.port, UPGRADE, 'one');
  await edge.edge.apply(edge.config(routed(two.at)));
  assert.equal((await ask(edge.port)).body, 'two');
  one.say('still;');
  await stream.receives('still;');
  await tunnel.receives('still;');
  await stream.all();
  const text = await tunnel.all();
  assert.match(text, /still;\x88\x02\x03\xf4$/, 'a Close frame with 1012 between frames');
  await until(() => one.sockets.size === 0);
  tunnel.socket.destroy();
  await until(() => edge.edge.status().tunnels === 0);
});

test('counts and health of an unchanged route survive, and those of its origins', async (t) => {
  const [one, two] = [await streaming(t, 'one'), await streaming(t, 'two')];
  const edge = await startEdge(t, routed([one.at, two.at]));
  await ask(edge.port);
  const id = edge.edge.status().sites[0]!.routes[0]!.origins[0]!.id;
  edge.edge.setOriginHealth('* /*', id, false);
  await edge.edge.apply(edge.config({ logLevel: 'debug' }));
  assert.equal(edge.edge.status().sites[0]!.routes[0]!.requests, 1);
  assert.equal(edge.edge.status().sites[0]!.routes[0]!.origins[0]!.healthy, false);
  // A changed route keeps what is known of an origin that it still has.
  await edge.edge.apply(edge.config(routed([one.at, two.at], { retry: { attempts: 1 } })));
  assert.equal(edge.edge.status().sites[0]!.routes[0]!.origins[0]!.healthy, false);
});

test('listeners come and go; connections accepted before live on', async (t) => {
  const one = await streaming(t, 'one');
  const edge = await startEdge(t, routed(one.at));
  const stream = await open(t, edge.port, STREAM, 'one');
  await edge.edge.apply(edge.config({ listen: ['127.0.0.2:0'] }));
  await assert.rejects(ask(edge.port), /ECONNREFUSED/);
  const reply = await ask(edge.edge.ports()[0]!, { host: '127.0.0.2' });
  assert.equal(reply.body, 'one');
  one.say('on the old listener;');
  await stream.receives('on the old listener;');
});

test('a reload that cannot listen changes nothing', async (t) => {
  const [one, two] = [await streaming(t, 'one'), await streaming(t, 'two')];
  const edge = await startEdge(t, routed(one.at));
  const stream = await open(t, edge.port, STREAM, 'one');
  await assert.rejects(
    edge.edge.apply(
      edge.config({ ...routed(two.at), listen: ['127.0.0.1:0', `127.0.0.1:${one.port}`] }),
    ),
    { code: 'ERR_LISTEN' },
  );
  assert.equal((await ask(edge.port)).body, 'one');
  one.say('still here;');
  await stream.receives('still here;');
});

test('a reload with a bad pattern changes nothing', async (t) => {
  const one = await streaming(t, 'one');
  const edge = await startEdge(t, routed(one.at));
  await assert.rejects(
    edge.edge.apply(edge.config({ sites: { '*': { routes: { '/a*b': one.at } } } })),
    { code: 'ERR_ROUTE_PATTERN' },
  );
  assert.equal((await ask(edge.port)).body, 'one');
});

test('new limits hold for new connections', async (t) => {
  const one = await streaming(t, 'one');
  const edge = await startEdge(t, routed(one.at));
  const headers = { x: 'y'.repeat(3_000) };
  assert.equal((await ask(edge.port, { headers })).status, 200);
  await edge.edge.apply(edge.config({ limits: { headBytes: 1_024 } }));
  assert.equal((await ask(edge.port, { headers })).status, 431);
});

test('a drain lets a request finish, says close, refuses new connections and ends', async (t) => {
  let finish = () => {};
  const origin = await httpOrigin(t, (_, response) => {
    finish = () => response.end('done');
  });
  const edge = await startEdge(t, { ...routed(origin.at), drain: { deadlineMs: 10_000 } });
  const idle = await RawClient.connect(t, edge.port);
  const busy = await RawClient.connect(t, edge.port);
  busy.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => edge.edge.status().requestsInFlight === 1);
  const drained = edge.edge.drain();
  await assert.rejects(ask(edge.port), /ECONNREFUSED/);
  finish();
  const text = await busy.all();
  assert.match(text, /^HTTP\/1\.1 200 .*connection: close\r\n.*done$/is);
  await idle.all();
  idle.socket.destroy();
  busy.socket.destroy();
  assert.deepEqual(await inTime(drained, 'drain'), { cut: 0 });
});

test('a drain cuts what is left at its deadline and counts it', async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const edge = await startEdge(t, { ...routed(origin.at), drain: { deadlineMs: 500 } });
  const client = await RawClient.connect(t, edge.port);
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until(() => edge.edge.status().requestsInFlight === 1);
  assert.deepEqual(await inTime(edge.edge.drain(), 'drain'), { cut: 1 });
  await client.all();
  await until(() => origin.sockets.size === 0);
  assert.equal(edge.edge.status().requestsInFlight, 0);
});
