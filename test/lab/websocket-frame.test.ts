import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  openingRequest,
  parseOpening,
  parseTextFrame,
  SHORT_PAYLOAD_MAX,
  textFrame,
} from '../../bench/lab/clients/websocket-frame.ts';

const ANSWER =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

test('the opening is the one of RFC 6455, and only its own answer is taken', () => {
  assert.match(openingRequest('192.0.2.10', '/ws'), /Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==/);
  assert.equal(parseOpening(Buffer.from(ANSWER.slice(0, -1))), undefined);
  assert.equal(parseOpening(Buffer.from(`${ANSWER}rest`))?.toString(), 'rest');
  assert.throws(() => parseOpening(Buffer.from(ANSWER.replace('s3pP', 'XXXX'))), /another key/);
  assert.throws(
    () => parseOpening(Buffer.from('HTTP/1.1 503 Service Unavailable\r\n\r\n')),
    /503 Service Unavailable/,
  );
  assert.throws(() => parseOpening(Buffer.alloc(20_000, 'x')), /no end/);
});

test('a client’s text frame is the masked “Hello” of RFC 6455, section 5.7', () => {
  assert.equal(textFrame('Hello', 0x37fa213d).toString('hex'), '818537fa213d7f9f4d5158');
  assert.throws(() => textFrame('x'.repeat(SHORT_PAYLOAD_MAX + 1), 1), /too long/);
});

test('a server’s text frame is read once it is whole, and nothing else is taken for one', () => {
  const hello = Buffer.from('810548656c6c6f', 'hex');
  assert.equal(parseTextFrame(hello), 'Hello');
  for (let bytes = 0; bytes < hello.length; bytes += 1) {
    assert.equal(parseTextFrame(hello.subarray(0, bytes)), undefined);
  }
  assert.throws(() => parseTextFrame(Buffer.concat([hello, hello])), /more than one/);
  assert.throws(() => parseTextFrame(Buffer.from('8800', 'hex')), /unexpected frame 8800/);
});

test('no bytes make the readers fail in a way that nobody expects', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      for (const read of [parseOpening, parseTextFrame]) {
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          assert.equal((error as Error).constructor, Error);
        }
      }
    }),
  );
});
