/**
 * Bytes that no well-meaning client sends, against a real listener. Whatever comes: the edge stays
 * up, serves the next plain request correctly, and keeps no connection to its origin busy.
 */
import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { proxyHeader } from '../../../src/edge/proxy-protocol.ts';
import { ask, type EdgeUnderTest, rawOrigin, startEdge, until } from '../e2e/edge-under-test.ts';
import { placesTaken, spoilt, watchForFaults, writeInPieces } from './spoilt-bytes.ts';

const faults = watchForFaults();

/** Requests that are in order, to be spoilt. */
const sound = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /x?y=1 HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\nCookie: a=b; c=d\r\nX-Long: 0123456789\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n',
  'PUT /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
  'HEAD /h HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://a/abs HTTP/1.1\r\nHost: a\r\nForwarded: for="[2001:db8::1]:4"\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85abcdhello',
  'GET /redirect/../a%2fb HTTP/1.1\r\nHost: A.EXAMPLE\r\nConnection: close\r\n\r\n',
  'POST /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 9\r\n\r\nnot whole',
  'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
].map((text) => Buffer.from(text, 'latin1'));

/** A connection's worth of bytes: a pipeline of requests, or noise. */
const stream = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .array(spoilt(sound), { minLength: 1, maxLength: 4 })
      .map((parts) => Buffer.concat(parts)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);

/** Where the bytes are cut into writes, and how the client leaves. */
const manner = fc.record({
  splits: fc.array(fc.nat(2_000), { maxLength: 3 }),
  leave: fc.constantFrom('wait', 'wait', 'end', 'reset', 'reset-at-once'),
});

const fuzzCase = fc.record({ bytes: stream, manner });
type Case = typeof fuzzCase extends fc.Arbitrary<infer T> ? T : never;

/** Time for the edge to show that it will not answer (a request that is not whole), milliseconds. */
const SETTLE_MS = 40;

/** Plays one client to its end. Never rejects. */
function play(port: number, { bytes, manner: { splits, leave } }: Case): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    let timer: NodeJS.Timeout | undefined;
    const settle = () => {
      clearTimeout(timer);
      timer = setTimeout(() => finish(), SETTLE_MS);
    };
    const finish = () => {
      clearTimeout(timer);
      if (leave === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    };
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on('data', settle);
    socket.on('end', finish);
    socket.on('connect', () => void send());
    const send = async () => {
      await writeInPieces(socket, bytes, splits);
      if (socket.destroyed) return;
      if (leave === 'reset-at-once') socket.resetAndDestroy();
      else if (leave === 'end') socket.end();
      settle();
    };
  });
}

/** An origin that reads strictly and answers simply; notes every request line it is sent. */
async function strictOrigin(t: TestContext) {
  const lines: string[] = [];
  const onSocket = (socket: Socket) => {
    socket.on('end', () => socket.end());
    let seen = '';
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
      // An edge that smuggles would put a second request line where a body or nothing should be.
      const end = seen.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = seen.slice(0, end);
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
      const isChunked = /\r\ntransfer-encoding: chunked/i.test(head);
      const body = seen.slice(end + 4);
      if (isChunked ? !body.endsWith('0\r\n\r\n') : body.length < Number(length ?? 0)) return;
      lines.push(head.split('\r\n')[0]!);
      seen = '';
      if (/\r\nupgrade: websocket/i.test(head)) {
        socket.removeAllListeners('data');
        socket.on('data', (data) => socket.write(data));
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
        );
        return;
      }
      assert.ok(!isChunked || !length, 'both framings sent to the origin');
      const isHead = head.startsWith('HEAD ');
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n${isHead ? '' : 'served'}`);
    });
  };
  const origin = await rawOrigin(t, onSocket);
  return { ...origin, lines };
}

async function assertServes(edge: EdgeUnderTest): Promise<void> {
  const reply = await ask(edge.port, { path: '/plain' });
  assert.equal(reply.status, 200);
  assert.equal(reply.body, 'served');
  await until(() => edge.edge.status().requestsInFlight === 0, 'no request is left');
  await until(() => edge.edge.status().tunnels === 0, 'no tunnel is left');
  await until(() => edge.edge.status().connections === 0, 'no client connection is left');
  await until(() => placesTaken(edge.edge) === 0, 'no place at the origin is left taken');
  assert.deepEqual(faults, []);
}

/** Runs many cases side by side, in batches small enough to name the guilty one by shrinking. */
async function fuzz(
  t: TestContext,
  edge: EdgeUnderTest,
  toCase: (one: Case) => Case,
  runs: number,
): Promise<void> {
  const batch = fc.array(fuzzCase, { minLength: 50, maxLength: 50, size: 'max' });
  await fc.assert(
    fc.asyncProperty(batch, async (cases) => {
      await Promise.all(cases.map((one) => play(edge.port, toCase(one))));
      await assertServes(edge);
    }),
    { numRuns: runs / 50, endOnFailure: true },
  );
  const statuses = new Map<number, number>();
  for (const { status } of edge.records) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const counts = [...statuses].toSorted().map(([status, n]) => `${status}: ${n}`);
  t.diagnostic(`${runs} connections, answers by status: ${counts.join(', ')}`);
}

test('5,000 connections with spoilt requests leave the edge serving and nothing taken', async (t) => {
  const origin = await strictOrigin(t);
  const edge = await startEdge(t, {
    limits: { headMs: 2_000, headBytes: 4_096, connectionsPerClient: 1_000 },
    sites: {
      '*': {
        routes: {
          '/*': { to: origin.at, limits: { bodyBytes: 1_000, connectionsPerOrigin: 20 } },
          '/redirect/*': { redirect: 'https://a{path}' },
        },
      },
    },
  });
  await fuzz(t, edge, (one) => one, 5_000);
  for (const line of origin.lines) assert.match(line, /^[A-Z-]+ \/[\x21-\xff]* HTTP\/1\.1$/);
  for (const record of edge.records) assert.ok(record.status >= 0 && record.status < 600);
});

test('1,000 connections with spoilt PROXY headers do the same', async (t) => {
  const origin = await strictOrigin(t);
  const edge = await startEdge(t, {
    limits: { headMs: 200, connectionsPerClient: 1_000 },
    listen: [{ at: '127.0.0.1:0', proxyProtocolFrom: ['127.0.0.0/8'] }, '127.0.0.2:0'],
    sites: { '*': { routes: { '/*': origin.at } } },
  });
  const plain = { ...edge, port: edge.ports[1]! };
  const from = { address: '203.0.113.7', port: 51_000 };
  const to = { address: '192.0.2.10', port: 443 };
  const headers = [proxyHeader('v1', from, to), proxyHeader('v2', from, to)];
  const withHeader = ({ bytes, manner: how }: Case): Case => {
    const header = Buffer.from(headers[bytes.length % 2]!);
    const spoil = bytes[0] ?? 0;
    // Half of them whole, half with one byte changed.
    if (spoil & 1) header[spoil % header.length] = bytes[bytes.length - 1] ?? 0;
    return { bytes: Buffer.concat([header, bytes]), manner: how };
  };
  const batch = fc.array(fuzzCase, { minLength: 50, maxLength: 50, size: 'max' });
  await fc.assert(
    fc.asyncProperty(batch, async (cases) => {
      await Promise.all(cases.map((one) => play(edge.port, withHeader(one))));
      const reply = await ask(plain.port, { host: '127.0.0.2' });
      assert.equal(reply.body, 'served');
      await until(() => edge.edge.status().connections === 0, 'no client connection is left');
      await until(() => edge.edge.status().requestsInFlight === 0, 'no request is left');
      assert.deepEqual(faults, []);
    }),
    { numRuns: 20, endOnFailure: true },
  );
});
