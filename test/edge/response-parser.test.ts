import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEAD_BYTES_MAX, INTERIM_MAX, ResponseParser } from '../../src/edge/response-parser.ts';
import { type Reading, Recorder, readAnswer } from './response-recorder.ts';

const OK = 'HTTP/1.1 200 OK\r\n';

/** In one piece, and byte by byte. */
function bothWays(bytes: string, reading: Reading = {}) {
  const whole = readAnswer(bytes, reading);
  const single = readAnswer(bytes, { ...reading, pieces: Array(bytes.length).fill(1) });
  assert.equal(single.fault?.split(':')[0], whole.fault?.split(':')[0], JSON.stringify(bytes));
  assert.equal(single.body, whole.body);
  assert.deepEqual(single.headers, whole.fault === undefined ? whole.headers : single.headers);
  return whole;
}

const sound: Record<string, [bytes: string, body: string, reusable: boolean, reading?: Reading]> = {
  'a body with a length': [`${OK}Content-Length: 5\r\n\r\nhello`, 'hello', true],
  'a length of nothing': [`${OK}content-length: 0\r\n\r\n`, '', true],
  'a length with zeros before': [`${OK}content-length: 0005\r\n\r\nhello`, 'hello', true],
  'a body in chunks': [
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
    'hello world',
    true,
  ],
  'chunks with extensions and trailers': [
    `${OK}transfer-encoding: Chunked\r\n\r\nA;x="y z"\r\n0123456789\r\n0;q\r\nX-Sum: 1\r\nY:\r\n\r\n`,
    '0123456789',
    true,
  ],
  'a body until the connection closes': [
    `${OK}\r\nall of it`,
    'all of it',
    false,
    { closes: true },
  ],
  'an empty body until the connection closes': [`${OK}\r\n`, '', false, { closes: true }],
  'no body in answer to HEAD': [`${OK}Content-Length: 5\r\n\r\n`, '', true, { isHead: true }],
  'no chunks in answer to HEAD': [
    `${OK}Transfer-Encoding: chunked\r\n\r\n`,
    '',
    true,
    { isHead: true },
  ],
  'a 304 with a length': ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', '', true],
  'a 204': ['HTTP/1.1 204 No Content\r\n\r\n', '', true],
  'interim answers first': [
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${OK}Content-Length: 1\r\n\r\nx`,
    'x',
    true,
  ],
  'no reason': ['HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx', 'x', true],
  'no reason and no space': ['HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx', 'x', true],
  'Connection: close': [`${OK}Connection: close\r\nContent-Length: 1\r\n\r\nx`, 'x', false],
  'close in a list': [`${OK}Connection: x, Close\r\nContent-Length: 1\r\n\r\nx`, 'x', false],
  'close and keep-alive': [
    `${OK}Connection: close\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx`,
    'x',
    false,
  ],
  'HTTP/1.0': ['HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx', 'x', false],
  'HTTP/1.0 kept alive': [
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx',
    'x',
    true,
  ],
  'bytes behind the end': [`${OK}Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n`, 'x', false],
  'bytes behind the last chunk': [
    `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\ny`,
    'x',
    false,
  ],
  'a body in answer to HEAD': [`${OK}Content-Length: 1\r\n\r\nx`, '', false, { isHead: true }],
  'a body behind a 204': ['HTTP/1.1 204 OK\r\nContent-Length: 1\r\n\r\nx', '', false],
};

for (const [name, [bytes, body, reusable, reading]] of Object.entries(sound)) {
  test(`reads ${name}`, () => {
    const record = readAnswer(bytes, reading);
    assert.equal(record.fault, undefined);
    assert.equal(record.body, body);
    assert.equal(record.reusable, reusable);
    assert.equal(record.heads, 1);
    const single = readAnswer(bytes, { ...reading, pieces: Array(bytes.length).fill(1) });
    // One byte at a time, the last one is not known to be the last.
    assert.deepEqual({ ...single, lastSeen: record.lastSeen }, record);
  });
}

test('fields keep their order, spelling, bytes and repetition; white space around them goes', () => {
  const record = bothWays(
    'HTTP/1.1 207 M\xe9ny Things\t!\r\nSet-Cookie: a=1\r\nX-Empty:\r\nset-cookie:\t b=\xff2 ;c \t\r\n\r\n',
    { closes: true },
  );
  assert.equal(record.status, 207);
  assert.equal(record.reason, 'M\xe9ny Things\t!');
  assert.deepEqual(record.headers, [
    'Set-Cookie',
    'a=1',
    'X-Empty',
    '',
    'set-cookie',
    'b=\xff2 ;c',
  ]);
  assert.equal(record.bodyBytes, -1);
});

test('a length on a 204 is not passed on', () => {
  const record = bothWays('HTTP/1.1 204 OK\r\nA: b\r\nContent-Length: 0\r\nC: d\r\n\r\n');
  assert.deepEqual(record.headers, ['A', 'b', 'C', 'd']);
});

const unsound: Record<string, string> = {
  'another protocol': 'SSH-2.0-x\r\n',
  'lower case': 'http/1.1 200 OK\r\n\r\n',
  'HTTP/2': 'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.2': 'HTTP/1.2 200 OK\r\n\r\n',
  'a line before the status line': '\r\nHTTP/1.1 200 OK\r\n\r\n',
  'two digits of status': 'HTTP/1.1 20 OK\r\n\r\n',
  'four digits of status': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a signed status': 'HTTP/1.1 +20 OK\r\n\r\n',
  'status 99': 'HTTP/1.1 099 OK\r\n\r\n',
  'status 600': 'HTTP/1.1 600 OK\r\n\r\n',
  'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
  'a tab after the version': 'HTTP/1.1\t200 OK\r\n\r\n',
  'a control character in the reason': 'HTTP/1.1 200 O\x01K\r\n\r\n',
  'a bare LF behind the status line': 'HTTP/1.1 200 OK\nA: b\r\n\r\n',
  'a bare LF behind a field': `${OK}A: b\nC: d\r\n\r\n`,
  'a bare CR in a value': `${OK}A: b\rC: d\r\n\r\n`,
  'a bare LF as the end': `${OK}A: b\r\n\nbody`,
  'NUL in a value': `${OK}A: b\0\r\n\r\n`,
  'DEL in a value': `${OK}A: b\x7f\r\n\r\n`,
  'a folded field': `${OK}A: b\r\n c\r\n\r\n`,
  'a field folded by a tab': `${OK}A: b\r\n\tc\r\n\r\n`,
  'white space before the colon': `${OK}A : b\r\n\r\n`,
  'a field without colon': `${OK}A\r\n\r\n`,
  'a field without name': `${OK}: b\r\n\r\n`,
  'a name that is no token': `${OK}A(: b\r\n\r\n`,
  'obs-text in a name': `${OK}\xc4: b\r\n\r\n`,
  'length and chunks': `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'chunks and length': `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  'two lengths': `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
  'two equal lengths': `${OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
  'a list of lengths': `${OK}Content-Length: 5, 5\r\n\r\nhello`,
  'a signed length': `${OK}Content-Length: +5\r\n\r\nhello`,
  'a negative length': `${OK}Content-Length: -5\r\n\r\n`,
  'a hexadecimal length': `${OK}Content-Length: 0x5\r\n\r\nhello`,
  'an empty length': `${OK}Content-Length:\r\n\r\n`,
  'a length with a space in it': `${OK}Content-Length: 1 0\r\n\r\n`,
  'a length of 2^53': `${OK}Content-Length: 9007199254740992\r\n\r\n`,
  'a length of many digits': `${OK}Content-Length: ${'9'.repeat(40)}\r\n\r\n`,
  'another coding': `${OK}Transfer-Encoding: gzip\r\n\r\n`,
  'codings in a list': `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunked twice': `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'chunked and something': `${OK}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a Connection that names the length': `${OK}Connection: content-length\r\nContent-Length: 1\r\n\r\nx`,
  'more fields than allowed': `${OK}${'A: b\r\n'.repeat(257)}\r\n`,
  'a chunk without size': `${OK}Transfer-Encoding: chunked\r\n\r\n\r\nx\r\n`,
  'a chunk size with white space': `${OK}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n`,
  'a chunk size with a sign': `${OK}Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n`,
  'a chunk size with 0x': `${OK}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n`,
  'a chunk size that wraps': `${OK}Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n`,
  'a chunk size of 2^53': `${OK}Transfer-Encoding: chunked\r\n\r\n20000000000000\r\nhello\r\n`,
  'a chunk longer than its size': `${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n`,
  'a chunk shorter than its size': `${OK}Transfer-Encoding: chunked\r\n\r\n6\r\nhello\r\n0\r\n\r\n`,
  'a bare LF behind a chunk size': `${OK}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
  'a bare LF behind a chunk': `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n`,
  'a bare LF in an extension': `${OK}Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n`,
  'an endless extension': `${OK}Transfer-Encoding: chunked\r\n\r\n5;${'a'.repeat(17_000)}`,
  'many extensions': `${OK}Transfer-Encoding: chunked\r\n\r\n${`1;${'a'.repeat(1_000)}\r\nx\r\n`.repeat(17)}`,
  'a trailer without colon': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA\r\n\r\n`,
  'a folded trailer': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n`,
  'a bare LF in a trailer': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n`,
  'endless trailers': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(3_000)}`,
  'a switch that nobody asked for': 'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n',
  'endless interim answers': 'HTTP/1.1 100 OK\r\n\r\n'.repeat(INTERIM_MAX + 1),
  'a head without end': `${OK}A: ${'b'.repeat(HEAD_BYTES_MAX)}`,
};

for (const [name, bytes] of Object.entries(unsound)) {
  test(`refuses ${name}`, () => {
    const record = bothWays(bytes, { closes: true });
    assert.match(record.fault ?? '', /^protocol: ./);
    assert.equal(record.reusable, undefined);
  });
}

const brokenOff: Record<string, string> = {
  'before the head': '',
  'within the status line': 'HTTP/1.1 20',
  'within a field': `${OK}A: b`,
  'within a body with a length': `${OK}Content-Length: 5\r\n\r\nhell`,
  'before a body with a length': `${OK}Content-Length: 5\r\n\r\n`,
  'within a chunk': `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`,
  'before the last chunk': `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  'before the end of the trailers': `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
  'after an interim answer': 'HTTP/1.1 100 Continue\r\n\r\n',
};

for (const [name, bytes] of Object.entries(brokenOff)) {
  test(`an end ${name} is not the end of an answer`, () => {
    assert.match(bothWays(bytes, { closes: true }).fault ?? '', /^closed: /);
    assert.equal(bothWays(bytes).reusable, undefined);
  });
}

test('a head may be as long as the limit and no longer, however it is cut', () => {
  const head = (bytes: number) => `${OK}A: ${'b'.repeat(bytes - OK.length - 7)}\r\n\r\n`;
  for (const pieces of [[], [1], [1_000], [40_000, 10_000], [HEAD_BYTES_MAX - 1]]) {
    const closes = true;
    assert.equal(readAnswer(head(HEAD_BYTES_MAX), { pieces, closes }).fault, undefined);
    assert.match(readAnswer(head(HEAD_BYTES_MAX + 1), { pieces, closes }).fault ?? '', /65536/);
  }
});

test('a switch that was asked for gives what follows it unread', () => {
  const bytes =
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nA: b\r\n\r\n\x81\x00HTTP';
  const record = readAnswer(bytes, { isUpgrade: true });
  assert.equal(record.early, '\x81\x00HTTP');
  assert.deepEqual(record.headers.slice(4), ['A', 'b']);
  for (const upgrade of ['', 'Upgrade: h2c\r\n', 'Upgrade: websocket, h2c\r\n']) {
    const other = readAnswer(`HTTP/1.1 101 OK\r\n${upgrade}\r\n`, { isUpgrade: true });
    assert.match(other.fault ?? '', /^protocol: /);
  }
});

test('an upgrade that is answered otherwise is an answer like any other', () => {
  const record = readAnswer('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno', { isUpgrade: true });
  assert.equal(record.body, 'no');
  assert.equal(record.reusable, true);
});

test('answers follow each other, and nothing of one is left in the next', () => {
  const recorder = new Recorder();
  const parser = new ResponseParser(recorder);
  const feed = (text: string) => {
    const bytes = Buffer.from(text, 'latin1');
    parser.feed(bytes, 0, bytes.length);
  };
  parser.begin(true, false);
  feed(
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=7\r\nContent-Length: 9\r\n\r\n',
  );
  assert.equal(recorder.record.reusable, true);
  assert.equal(parser.keepAliveS, 7);
  parser.begin(false, false);
  feed('HTTP/1.1 200 OK\r\nTransfer-Encoding: chu');
  feed('nked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
  assert.equal(recorder.record.body, 'abc');
  assert.equal(recorder.record.bodyBytes, -1);
  assert.equal(parser.keepAliveS, -1);
  parser.begin(false, false);
  feed('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
  assert.equal(recorder.record.body, 'abcx');
  assert.equal(recorder.record.heads, 3);
});

test('bytes that answer nothing are a fault', () => {
  const recorder = new Recorder();
  const parser = new ResponseParser(recorder);
  parser.feed(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 0, 19);
  assert.match(recorder.record.fault ?? '', /^protocol: /);
});

test('after a stop nothing is said, also within a piece', () => {
  const recorder = new Recorder();
  const parser: ResponseParser = new ResponseParser({
    onHead: () => parser.stop(),
    onBody: () => assert.fail('body'),
    onEnd: () => assert.fail('end'),
    onUpgrade: () => assert.fail('upgrade'),
    onFault: () => assert.fail('fault'),
  });
  parser.begin(false, false);
  const bytes = Buffer.from(`${OK}Content-Length: 2\r\n\r\nhi`);
  parser.feed(bytes, 0, bytes.length);
  parser.eof();
  assert.equal(recorder.record.heads, 0);
});

test('the length that the origin keeps a connection is read from Keep-Alive', () => {
  const recorder = new Recorder();
  for (const [value, seconds] of [
    ['timeout=5', 5],
    ['timeout=5, max=100', 5],
    ['max=100, Timeout = "12"', 12],
    ['max=100', -1],
    ['xtimeout=3', -1],
    ['timeout=99999999999999', 999_999_999],
  ] as const) {
    const parser = new ResponseParser(recorder);
    parser.begin(false, false);
    const bytes = Buffer.from(`${OK}Keep-Alive: ${value}\r\nContent-Length: 0\r\n\r\n`);
    parser.feed(bytes, 0, bytes.length);
    assert.equal(parser.keepAliveS, seconds, value);
  }
});
