import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkedDecoder, EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX } from '../../src/edge/chunked.ts';

interface Decoded {
  data: string;
  fault: string;
  done: boolean;
  /** Bytes that belong to the body. */
  bytes: number;
}

function decode(text: string, pieces: readonly number[] = []): Decoded {
  const decoder = new ChunkedDecoder();
  const whole = Buffer.from(text, 'latin1');
  const result: Decoded = { data: '', fault: '', done: false, bytes: 0 };
  let at = 0;
  for (const length of [...pieces, whole.length]) {
    if (at >= whole.length || decoder.done || decoder.fault !== '') break;
    // Within a larger buffer: what lies around the piece must stay as it is.
    const piece = Buffer.concat([
      Buffer.from('<'),
      whole.subarray(at, at + length),
      Buffer.from('>'),
    ]);
    const end = piece.length - 1;
    const stop = decoder.decode(piece, 1, end);
    assert.ok(decoder.dataStart >= 1 && decoder.dataEnd <= stop && stop <= end);
    assert.equal(piece[0], 0x3c);
    assert.equal(piece[end], 0x3e);
    result.data += piece.toString('latin1', decoder.dataStart, decoder.dataEnd);
    result.bytes += stop - 1;
    at += length;
  }
  return { ...result, fault: decoder.fault, done: decoder.done };
}

test('stops at the end of the body and leaves what follows', () => {
  const decoded = decode('3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200');
  assert.deepEqual(decoded, { data: 'abc', fault: '', done: true, bytes: 13 });
});

test('data before a fault is given', () => {
  const decoded = decode('3\r\nabc\r\n2\r\nde!!0\r\n\r\n');
  assert.equal(decoded.data, 'abcde');
  assert.match(decoded.fault, /CR LF/);
});

test('extensions and trailers have limits over the whole body, not for each', () => {
  const extensions = (bytes: number) => `1;${'e'.repeat(bytes - 1)}\r\nx\r\n1;\r\ny\r\n0\r\n\r\n`;
  // Each of the two semicolons begins an extension and is none of it.
  assert.equal(decode(extensions(EXTENSION_BYTES_MAX + 1)).fault, '');
  assert.match(decode(extensions(EXTENSION_BYTES_MAX + 2)).fault, /extensions/);
  const trailers = (bytes: number) => `0\r\nA:${'t'.repeat(bytes - 5)}\r\n\r\n`;
  assert.equal(decode(trailers(TRAILER_BYTES_MAX)).fault, '');
  assert.match(decode(trailers(TRAILER_BYTES_MAX + 1)).fault, /trailers/);
});

test('a decoder that was reset knows nothing of the body before', () => {
  const decoder = new ChunkedDecoder();
  for (const text of ['1;aaaa\r\nx\r\n', 'zz', '5\r\nab']) {
    decoder.decode(Buffer.from(text), 0, text.length);
    decoder.reset();
  }
  const bytes = Buffer.from('2\r\nok\r\n0\r\n\r\n');
  decoder.decode(bytes, 0, bytes.length);
  assert.equal(decoder.done, true);
  assert.equal(bytes.toString('latin1', decoder.dataStart, decoder.dataEnd), 'ok');
});

const chunk = fc.record({
  data: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 60 }),
  zeros: fc.nat(3),
  upper: fc.boolean(),
  extension: fc.constantFrom('', ';', ';a', ';a=b', '; a="b c"'),
});
const body = fc.record({
  chunks: fc.array(chunk, { maxLength: 8 }),
  trailers: fc.constantFrom('', 'A: b\r\n', 'A:\r\nB: c\td\r\n'),
});

test('what was encoded is what is decoded, however it is cut', () => {
  fc.assert(
    fc.property(body, fc.array(fc.nat(40), { maxLength: 60 }), ({ chunks, trailers }, pieces) => {
      let encoded = '';
      for (const { data, zeros, upper, extension } of chunks) {
        const size = data.length.toString(16);
        const digits = '0'.repeat(zeros) + (upper ? size.toUpperCase() : size);
        encoded += `${digits}${extension}\r\n${data}\r\n`;
      }
      encoded += `0\r\n${trailers}\r\n`;
      const data = chunks.map((one) => one.data).join('');
      const expected = { data, fault: '', done: true, bytes: encoded.length };
      assert.deepEqual(decode(`${encoded}GET`, []), expected);
      assert.deepEqual(decode(`${encoded}GET`, pieces), expected);
      assert.deepEqual(decode(encoded, Array(encoded.length).fill(1)), expected);
    }),
    { numRuns: 1_000 },
  );
});
