/**
 * An origin that answers whatever it likes. The edge stays up, tells its clients something that is
 * HTTP or nothing, keeps serving other routes correctly, and keeps no connection it has given up.
 */
import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import {
  ask,
  type EdgeUnderTest,
  httpOrigin,
  rawOrigin,
  startEdge,
  until,
} from '../e2e/edge-under-test.ts';
import { placesTaken, spoilt, watchForFaults, writeInPieces } from './spoilt-bytes.ts';

const faults = watchForFaults();

/** Answers that are in order, to be spoilt. */
const sound = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 302 Found\r\nLocation: //evil\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nVia: 1.0 x\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05hello\x88\x02\x03\xe8',
  'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc',
].map((text) => Buffer.from(text, 'latin1'));

const requests = [
  'GET /N HTTP/1.1\r\nHost: a\r\n\r\n',
  'HEAD /N HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /N HTTP/1.0\r\n\r\n',
  'POST /N HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST /N HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'PUT /N HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nnot yet all',
  'GET /N HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  'GET /N HTTP/1.1\r\nHost: a\r\n\r\nGET /N HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
];

const answer = fc.oneof(
  { weight: 12, arbitrary: spoilt(sound) },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  },
);

const fuzzCase = fc.record({
  request: fc.nat(requests.length - 1),
  answer,
  splits: fc.array(fc.nat(2_000), { maxLength: 3 }),
  /** What the origin does behind its bytes. */
  leave: fc.constantFrom('keep', 'keep', 'end', 'reset', 'destroy'),
  /** Answers as soon as it is connected, before it was asked. */
  early: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});
type Case = typeof fuzzCase extends fc.Arbitrary<infer T> ? T : never;

/** Silence after which a client goes away, milliseconds. */
const SETTLE_MS = 100;

/** Asks once and gives what came back. Never rejects. */
function play(port: number, index: number, { request }: Case): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    const received: Buffer[] = [];
    let timer: NodeJS.Timeout | undefined;
    const settle = () => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), SETTLE_MS);
    };
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      settle();
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(received).toString('latin1'));
    });
    socket.on('connect', () => {
      socket.write(requests[request]!.replaceAll('/N', `/${index}`));
      settle();
    });
  });
}

/** An origin that plays the cases of the present batch, by the number in the path. */
async function hostileOrigin(t: TestContext) {
  let cases: readonly Case[] = [];
  const behave = async (socket: Socket, one: Case) => {
    await writeInPieces(socket, one.answer, one.splits);
    if (one.leave === 'end') socket.end();
    // node never closes a socket that is reset while it is shutting down.
    else if (one.leave === 'reset' && !socket.writableEnded) socket.resetAndDestroy();
    else if (one.leave !== 'keep') socket.destroy();
  };
  let turn = 0;
  const origin = await rawOrigin(t, (socket) => {
    socket.on('end', () => socket.end());
    turn += 1;
    const first = cases[turn % Math.max(1, cases.length)];
    if (first?.early) void behave(socket, first);
    socket.on('data', (chunk: Buffer) => {
      const index = /^[A-Z]+ \/(\d+) /.exec(chunk.toString('latin1'))?.[1];
      const one = index === undefined ? undefined : cases[Number(index)];
      if (one !== undefined) void behave(socket, one);
    });
  });
  const setCases = (next: readonly Case[]) => {
    cases = next;
  };
  return { ...origin, setCases };
}

async function assertServes(edge: EdgeUnderTest): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const reply = await ask(edge.port, { headers: { host: 'good' } });
    assert.equal(reply.status, 200);
    assert.equal(reply.body, 'served');
  }
  await until(() => edge.edge.status().requestsInFlight === 0, 'no request is left');
  await until(() => edge.edge.status().tunnels === 0, 'no tunnel is left');
  await until(() => edge.edge.status().connections === 0, 'no client connection is left');
  await until(() => placesTaken(edge.edge) === 0, 'no place at an origin is left taken');
  assert.deepEqual(faults, []);
}

test('5,000 spoilt answers leave the edge serving and no origin connection behind', async (t) => {
  const hostile = await hostileOrigin(t);
  const good = await httpOrigin(t, (_, response) => response.end('served'));
  const edge = await startEdge(t, {
    limits: { connectionsPerClient: 1_000 },
    sites: {
      good: { routes: { '/*': good.at } },
      '*': {
        routes: {
          '/*': {
            to: [hostile.at, { url: hostile.at, id: 'again' }],
            ejection: { failures: 0 },
            timeouts: { headersMs: 200, bodyIdleMs: 200, tunnelIdleMs: 1_000 },
          },
        },
      },
    },
  });
  const batch = fc.array(fuzzCase, { minLength: 50, maxLength: 50, size: 'max' });
  const statuses = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(batch, async (cases) => {
      hostile.setCases(cases);
      const replies = await Promise.all(cases.map((one, i) => play(edge.port, i, one)));
      for (const reply of replies) {
        if (reply !== '') assert.match(reply, /^HTTP\/1\.1 [1-9]\d\d [^\r\n]*\r\n/);
        const status = reply.slice(9, 12);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
      await assertServes(edge);
    }),
    { numRuns: 100, endOnFailure: true },
  );
  // Kept ones are those that a pool may use again; none may outlive the edge.
  assert.ok(hostile.sockets.size <= 100, `${hostile.sockets.size} idle origin connections`);
  edge.edge.cut();
  await until(() => hostile.sockets.size === 0, 'no origin connection outlives the edge');
  t.diagnostic(
    [...statuses]
      .toSorted()
      .map(([status, n]) => `${status || 'none'}: ${n}`)
      .join(', '),
  );
});
