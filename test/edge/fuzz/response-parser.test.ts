/** Bytes of a hostile origin: whatever comes, the parser says something that holds together. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { HEAD_BYTES_MAX, INTERIM_MAX } from '../../../src/edge/response-parser.ts';
import { readAnswer } from '../response-recorder.ts';

const seeds = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x02hi',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end',
];

/** Parts that matter to a parser. */
const part = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  '0',
  'ffffffffffffffff',
  '\xff',
  'HTTP/1.1 ',
  'HTTP/1.1 200 OK\r\n',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  '0\r\n\r\n',
);

const edit = fc.record({
  at: fc.nat(200),
  drop: fc.nat(6),
  insert: fc.oneof(part, fc.string({ unit: 'binary-ascii', maxLength: 3 })),
});

/** A sound answer (or two) with some of its bytes spoilt, or no answer at all. */
const bytes = fc
  .oneof(
    { weight: 8, arbitrary: fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 4 })) },
    {
      weight: 2,
      arbitrary: fc.tuple(
        fc.array(part, { maxLength: 30 }).map((p) => p.join('')),
        fc.constant([]),
      ),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(
        fc.uint8Array({ maxLength: 200 }).map((a) => Buffer.from(a).toString('latin1')),
        fc.constant([]),
      ),
    },
  )
  .map(([seed, edits]) => {
    let text = seed;
    for (const { at, drop, insert } of edits) {
      const place = at % (text.length + 1);
      text = text.slice(0, place) + insert + text.slice(place + drop);
    }
    return text;
  });

const reading = fc.record({ isHead: fc.boolean(), isUpgrade: fc.boolean(), closes: fc.boolean() });

test('20,000 spoilt answers: an end, a fault or a wait, never an exception, however they are cut', () => {
  let ends = 0;
  let faults = 0;
  fc.assert(
    fc.property(bytes, reading, fc.array(fc.nat(40), { maxLength: 20 }), (text, how, pieces) => {
      const whole = readAnswer(text, how);
      const cut = readAnswer(text, { ...how, pieces });
      const single = readAnswer(text, { ...how, pieces: Array(text.length).fill(1) });
      for (const other of [cut, single]) {
        assert.equal(other.body, whole.body);
        assert.equal(other.early === undefined, whole.early === undefined);
        assert.equal(other.reusable, whole.reusable);
        if (how.closes) {
          assert.equal(other.fault?.split(':')[0], whole.fault?.split(':')[0]);
          assert.equal(other.heads, whole.heads);
        }
      }
      // What is said of the body is true, and nothing of the head became something else on its way.
      if (whole.reusable !== undefined && whole.bodyBytes >= 0) {
        assert.equal(whole.body.length, whole.bodyBytes);
      }
      for (const value of whole.headers) assert.doesNotMatch(value, /[\0-\x08\x0a-\x1f\x7f]/);
      assert.doesNotMatch(whole.reason, /[\0-\x08\x0a-\x1f\x7f]/);
      if (whole.reusable !== undefined) ends += 1;
      if (whole.fault !== undefined) faults += 1;
      if (how.closes)
        assert.ok(
          whole.reusable !== undefined || whole.fault !== undefined || whole.early !== undefined,
        );
    }),
    { numRuns: 20_000 },
  );
  // Otherwise the bytes would be spoilt too much, or too little, to test anything.
  assert.ok(ends > 2_000 && faults > 2_000, `${ends} ends, ${faults} faults`);
});

test('an endless answer is given up before it fills the memory', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(
        'a',
        'X: y\r\n',
        'HTTP/1.1 100 C\r\n\r\n',
        `X: ${'y'.repeat(500)}\r\n`,
        '\t',
        '\r',
      ),
      fc.constantFrom('', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nA: '),
      fc.integer({ min: 1, max: 70_000 }),
      (unit, start, piece) => {
        // This would be a whole head, and then a body without limit.
        fc.pre(start === '' || !unit.includes('\r\n\r\n'));
        const limit = Math.max(HEAD_BYTES_MAX, INTERIM_MAX * 100);
        const text = start + unit.repeat(Math.ceil((limit + 100) / unit.length));
        const pieces = Array(Math.ceil(text.length / piece)).fill(piece);
        assert.match(readAnswer(text, { pieces }).fault ?? '', /^protocol/);
      },
    ),
    { numRuns: 300 },
  );
});

interface Sound {
  bytes: string;
  isHead: boolean;
}

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/);
const value = fc.stringMatching(/^(?:[!-~\xa1-\xff](?:[ \t!-~\xa1-\xff]{0,30}[!-~\xa1-\xff])?)?$/);
const framing = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'trailer',
  'keep-alive',
  'proxy-connection',
]);
const field = fc.tuple(token, value).filter(([name]) => !framing.has(name.toLowerCase()));

/** Sound answers of every kind of framing. */
const sound: fc.Arbitrary<Sound> = fc
  .record({
    minor: fc.constantFrom(0, 1),
    status: fc.oneof(fc.constantFrom(200, 204, 304, 404, 500), fc.integer({ min: 200, max: 599 })),
    reason: fc.stringMatching(/^[ \t!-~\xa1-\xff]{0,20}$/),
    interims: fc.nat(3),
    fields: fc.array(field, { maxLength: 8 }),
    body: fc.string({ unit: 'binary-ascii', maxLength: 200 }),
    framed: fc.constantFrom('length', 'chunked', 'close'),
    chunk: fc.integer({ min: 1, max: 50 }),
    isHead: fc.boolean(),
    connection: fc.constantFrom('', 'close', 'keep-alive'),
  })
  .map((made) => {
    const { minor, isHead, body } = made;
    const framed = minor === 0 && made.framed === 'chunked' ? 'length' : made.framed;
    let bytes = 'HTTP/1.1 103 Early\r\nLink: a\r\n\r\n'.repeat(made.interims);
    bytes += `HTTP/1.${minor} ${made.status} ${made.reason}\r\n`;
    for (const [name, text] of made.fields) bytes += `${name}: ${text}\r\n`;
    if (made.connection !== '') bytes += `Connection: ${made.connection}\r\n`;
    if (framed === 'length') bytes += `Content-Length: ${body.length}\r\n`;
    if (framed === 'chunked') bytes += 'Transfer-Encoding: chunked\r\n';
    bytes += '\r\n';
    if (isHead || made.status === 204 || made.status === 304) return { bytes, isHead };
    if (framed !== 'chunked') return { bytes: bytes + body, isHead };
    for (let at = 0; at < body.length; at += made.chunk) {
      const piece = body.slice(at, at + made.chunk);
      bytes += `${piece.length.toString(16)}\r\n${piece}\r\n`;
    }
    return { bytes: `${bytes}0\r\n\r\n`, isHead };
  });

test('1,000 sound answers mean the same here as to the HTTP client of node', async (t) => {
  let answer = '';
  const origin = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer, 'latin1'));
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.after(() => origin.close());
  const { port } = origin.address() as AddressInfo;

  const asked = (method: string) =>
    new Promise<http.IncomingMessage & { body: string }>((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port, method, agent: false });
      request.on('error', reject);
      request.on('response', (response) => {
        let body = '';
        response.setEncoding('latin1');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve(Object.assign(response, { body })));
        response.on('error', reject);
      });
      request.end();
    });

  await fc.assert(
    fc.asyncProperty(sound, async ({ bytes: text, isHead }) => {
      answer = text;
      const theirs = await asked(isHead ? 'HEAD' : 'GET');
      const ours = readAnswer(text, { isHead, closes: true });
      assert.equal(ours.fault, undefined);
      assert.equal(ours.status, theirs.statusCode);
      assert.equal(ours.reason.trim(), theirs.statusMessage?.trim());
      assert.equal(ours.body, theirs.body);
      const raw = [...theirs.rawHeaders];
      if (ours.status === 204) {
        const at = raw.indexOf('Content-Length');
        if (at >= 0) raw.splice(at, 2);
      }
      assert.deepEqual(ours.headers, raw);
    }),
    { numRuns: 1_000 },
  );
});
