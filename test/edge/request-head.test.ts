import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RequestHeadError, type RequestLine, requestHead } from '../../src/edge/request-head.ts';

const line = (changes: Partial<RequestLine> = {}): RequestLine => ({
  method: 'GET',
  target: '/a?b',
  headers: ['host', 'h', 'Accept', '*/*'],
  authority: 'origin:81',
  body: 'none',
  isUpgrade: false,
  ...changes,
});

test('a head is what it was asked to be', () => {
  assert.equal(requestHead(line()), 'GET /a?b HTTP/1.1\r\nhost: h\r\nAccept: */*\r\n\r\n');
  assert.equal(
    requestHead(line({ headers: ['A', ''] })),
    'GET /a?b HTTP/1.1\r\nhost: origin:81\r\nA: \r\n\r\n',
  );
  assert.match(requestHead(line({ body: 'chunked' })), /\r\ntransfer-encoding: chunked\r\n\r\n$/);
  assert.match(
    requestHead(line({ isUpgrade: true })),
    /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/,
  );
});

test('a method that is expected to have a body says when it has none', () => {
  for (const method of ['POST', 'PUT', 'PATCH']) {
    assert.match(requestHead(line({ method })), /\r\ncontent-length: 0\r\n\r\n$/);
    const headers = ['Content-Length', '5'];
    assert.doesNotMatch(requestHead(line({ method, headers, body: 'length' })), /length: 0/);
    assert.doesNotMatch(requestHead(line({ method, body: 'chunked' })), /length/);
  }
  for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
    assert.doesNotMatch(requestHead(line({ method })), /length/);
  }
});

/** The low byte of the last two is LF and CR: writing as Latin-1 would make them so. */
const poison = ['\r\n', '\n', '\r', '\0', '\x0b', '\x7f', '\u010a', '\u560d'];

test('no character that could split a request passes, wherever it is put', () => {
  for (const text of poison) {
    const spoilt = `a${text}b`;
    const places: Partial<RequestLine>[] = [
      { method: spoilt },
      { target: `/${spoilt}` },
      { headers: ['host', spoilt] },
      { headers: ['x', spoilt] },
      { headers: [spoilt, 'x'] },
      { headers: [], authority: spoilt },
    ];
    for (const place of places) {
      assert.throws(() => requestHead(line(place)), RequestHeadError, JSON.stringify(place));
    }
  }
  for (const place of [
    { method: 'GET /' },
    { method: '' },
    { target: '/a b' },
    { target: '' },
    { headers: ['a b', 'c'] },
    { headers: ['a:', 'c'] },
    { headers: ['', 'c'] },
  ]) {
    assert.throws(() => requestHead(line(place)), RequestHeadError, JSON.stringify(place));
  }
});

test('whatever is put in: one request comes out, with as many lines as it has fields, or none', () => {
  const text = (plain: string) =>
    fc.string({
      unit: fc.oneof(
        { weight: 60, arbitrary: fc.constantFrom(...plain) },
        { weight: 1, arbitrary: fc.constantFrom(...poison, ' ', ':') },
      ),
      maxLength: 12,
    });
  const token = text('abcXYZ-');
  const value = text('abc /:?-\t\xe9');
  let sent = 0;
  fc.assert(
    fc.property(
      token,
      token,
      fc.array(fc.tuple(token, value), { maxLength: 4 }),
      value,
      (...made) => {
        const [method, target, fields, authority] = made;
        const headers = fields.flat();
        let head: string;
        try {
          head = requestHead(
            line({ method: `M${method}`, target: `/${target}`, headers, authority }),
          );
        } catch (error) {
          assert.ok(error instanceof RequestHeadError);
          return;
        }
        sent += 1;
        const bytes = Buffer.from(head, 'latin1').toString('latin1');
        assert.equal(bytes, head);
        const lines = bytes.split('\r\n');
        const hosts = headers[0] === 'host' ? 0 : 1;
        assert.equal(lines.length, 1 + hosts + fields.length + 2);
        assert.equal(lines[0]?.split(' ').length, 3);
        assert.doesNotMatch(lines.join(''), /[\r\n\0]/);
      },
    ),
    { numRuns: 5_000 },
  );
  assert.ok(sent > 1_000 && sent < 4_500, String(sent));
});
