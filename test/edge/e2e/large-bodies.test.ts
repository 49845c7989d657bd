import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import http, { type IncomingMessage } from 'node:http';
import { type TestContext, test } from 'node:test';
import { httpOrigin, inTime, routed, startEdge, until } from './edge-under-test.ts';

/** Bytes that tell which body they are from and where in it they stand. */
function bodyNamed(name: number, bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let at = 0; at + 8 <= bytes; at += 8) {
    body.writeUInt32LE(name, at);
    body.writeUInt32LE(at, at + 4);
  }
  return body;
}

const sha256 = (body: Buffer) => createHash('sha256').update(body).digest('hex');
const bodies = [0, 1, 2, 3, 4, 5].map((name) => bodyNamed(name, 4_000_000));
const digests = bodies.map(sha256);
/** More than the kernel keeps for a reader that rests. */
const longBody = bodyNamed(9, 24_000_000);

/** Serves body `n` at `/n`: with its length, or in chunks below `/chunked/`. */
async function bodyOrigin(t: TestContext) {
  return await httpOrigin(t, (request, response) => {
    const [, first, second] = request.url!.split('/');
    const body = bodies[Number(second ?? first)] ?? longBody;
    if (first === 'chunked') {
      for (let at = 0; at < body.length; at += 100_000) {
        response.write(body.subarray(at, at + 100_000));
      }
      response.end();
    } else {
      response.writeHead(200, { 'content-length': body.length }).end(body);
    }
  });
}

async function begin(port: number, path: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  http.get({ port, path, host: '127.0.0.1', agent: false }, resolve).on('error', reject);
  return await promise;
}

/** @param pauseMs rests so long after every few pieces: the edge must stop reading meanwhile. */
async function digestOf(response: IncomingMessage, pauseMs = 0): Promise<string> {
  const hash: Hash = createHash('sha256');
  let pieces = 0;
  for await (const piece of response) {
    hash.update(piece);
    pieces += 1;
    if (pauseMs > 0 && pieces % 16 === 0) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return hash.digest('hex');
}

for (const framing of ['', '/chunked']) {
  const what = framing === '' ? 'with a length' : 'in chunks';
  test(`large bodies ${what} reach fast and slow readers unharmed, side by side`, async (t) => {
    const origin = await bodyOrigin(t);
    const { port } = await startEdge(t, routed(origin.at));
    for (let round = 0; round < 2; round += 1) {
      const answers = await Promise.all(
        bodies.map(async (_, i) =>
          digestOf(await begin(port, `${framing}/${i}`), i % 2 === 0 ? 0 : 2),
        ),
      );
      assert.deepEqual(answers, digests);
    }
  });
}

test('what waits for a reader that rests is not overwritten by what others read', async (t) => {
  const origin = await bodyOrigin(t);
  const { port } = await startEdge(t, routed(origin.at));
  const resting = await begin(port, '/long');
  // Until nothing moves any more: every buffer on the way is full.
  let sent = -1;
  const moves = () => {
    const before = sent;
    sent = 0;
    for (const socket of origin.sockets) sent += socket.bytesWritten - socket.writableLength;
    return sent !== before;
  };
  while (moves()) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(sent < longBody.length, 'the kernel took it all: the body is too short');
  for (let round = 0; round < 2; round += 1) {
    const answers = bodies.map(async (_, i) => digestOf(await begin(port, `/${i}`)));
    assert.deepEqual(await Promise.all(answers), digests);
  }
  assert.equal(await digestOf(resting), sha256(longBody));
});

test('readers that go away in the middle spoil nothing for the others', async (t) => {
  const origin = await bodyOrigin(t);
  const { port, edge } = await startEdge(t, routed(origin.at));
  const leaving = async (i: number) => {
    const response = await begin(port, `/${i}`);
    response.on('error', () => undefined);
    response.once('data', () => {
      // What the edge has in hand for it is still being written when it goes.
      response.pause();
      setTimeout(() => response.destroy(), 5 * i);
    });
    await new Promise((resolve) => response.once('close', resolve));
  };
  const staying = async (i: number) => digestOf(await begin(port, `/${i}`), 1);
  for (let round = 0; round < 3; round += 1) {
    const [digest] = await inTime(
      Promise.all([staying(0), ...[1, 2, 3, 4, 5].map(leaving)]),
      'all downloads of a round',
    );
    assert.equal(digest, digests[0]);
  }
  await until(() => edge.status().requestsInFlight === 0);
});
