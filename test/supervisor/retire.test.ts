/** An edge that retires: nobody is told to hurry, nobody is forgotten. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { httpOrigin, inTime, routed, startEdge, until } from '../edge/e2e/edge-under-test.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function client(t: TestContext, port: number): Promise<{ socket: Socket; text(): string }> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'connect');
  return { socket, text: () => text };
}

async function begin(t: TestContext, more: object = {}) {
  const origin = await httpOrigin(t, (_, reply) => reply.end('hello'));
  return startEdge(t, { ...routed(origin.at), drain: { deadlineMs: 0 }, ...more });
}

test('a kept connection gets its next answer, and is told to come again', async (t) => {
  const { edge, port } = await begin(t);
  const { socket, text } = await client(t, port);
  socket.write(REQUEST);
  await until(() => text().includes('hello'));
  let retired = false;
  const end = edge.retire().then(() => {
    retired = true;
  });
  // Longer than any sweep, and than a drain's patience with the silent.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal(retired, false);
  assert.doesNotMatch(text(), /connection: close/i);
  const closed = once(socket, 'close');
  socket.write(REQUEST);
  await inTime(closed, 'the end of the connection');
  assert.equal(text().split('hello').length, 3);
  assert.match(text(), /connection: close/i);
  await inTime(end, 'the end of the edge');
});

test('new connections are refused by it at once', async (t) => {
  const { edge, port } = await begin(t);
  await client(t, port);
  void edge.retire();
  const late = connect(port, '127.0.0.1');
  const [error] = await once(late, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
});

test('one whose PROXY header is under way is waited for, and served', async (t) => {
  const { edge, port } = await begin(t, {
    listen: [{ at: '127.0.0.1:0', proxyProtocolFrom: ['127.0.0.1'] }],
  });
  const { socket, text } = await client(t, port);
  socket.write('PROXY TCP4 203.0.113.7 ');
  await new Promise((resolve) => setTimeout(resolve, 100));
  let retired = false;
  const end = edge.retire().then(() => {
    retired = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 800));
  assert.equal(retired, false);
  socket.write(`192.0.2.10 51000 443\r\n${REQUEST}`);
  await until(() => text().includes('hello'));
  await inTime(end, 'the end of the edge');
});

test('a drain hurries an edge that retires', async (t) => {
  const { edge, port } = await begin(t);
  const { socket, text } = await client(t, port);
  socket.write(REQUEST);
  await until(() => text().includes('hello'));
  void edge.retire();
  const closed = once(socket, 'close');
  await inTime(edge.drain(), 'the drain');
  await inTime(closed, 'the end of the connection');
});
