/** The reader by hand against protobufjs: the same messages, the same refusals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs/minimal.js';
import { WireReader } from '../../src/proto/wire-reader.ts';
import { readText } from '../../src/proto/wire-text.ts';

type Field = readonly [number, number | boolean | string];

/** By the last digit of the field number, so that every way of reading gets its turn. */
function readByHand(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  const wire = new WireReader();
  wire.open(bytes);
  while (wire.more) {
    const tag = wire.uint32();
    const kind = ((tag >>> 3) % 2) * 8 + (tag & 7);
    if (kind === 0) fields.push([tag, wire.uint32()]);
    else if (kind === 8) fields.push([tag, wire.bool()]);
    else if (kind === 5) fields.push([tag, wire.fixed32()]);
    else if (kind === 2) {
      wire.span();
      fields.push([tag, readText(bytes, wire.from, wire.at)]);
    } else wire.skip(tag & 7);
  }
  return wire.sound ? fields : undefined;
}

function readByLibrary(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  try {
    const reader = new protobuf.Reader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      const kind = ((tag >>> 3) % 2) * 8 + (tag & 7);
      if (kind === 0) fields.push([tag, reader.uint32()]);
      else if (kind === 8) fields.push([tag, reader.bool()]);
      else if (kind === 5) fields.push([tag, reader.fixed32()]);
      else if (kind === 2) fields.push([tag, reader.string()]);
      else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  return fields;
}

const varint = fc.oneof(fc.nat(200), fc.integer({ min: 0, max: 0xffff_ffff }));
/** Fields that are whole, of every wire type, groups with something in them included. */
const field = fc
  .tuple(fc.constantFrom(0, 1, 2, 3, 5), fc.integer({ min: 1, max: 40 }), varint, fc.string())
  .map(([wireType, number, value, text]) => {
    const writer = new protobuf.Writer().uint32((number << 3) | wireType);
    if (wireType === 0) writer.uint32(value);
    else if (wireType === 1) writer.fixed32(value).fixed32(7);
    else if (wireType === 2) writer.string(text);
    else if (wireType === 5) writer.fixed32(value);
    else
      writer
        .uint32((number << 3) | 2)
        .string(text)
        .uint32((number << 3) | 4);
    return writer.finish();
  });

test('whole messages are read as protobufjs reads them', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 8 }), (parts) => {
      const bytes = new Uint8Array(Buffer.concat(parts));
      const read = readByHand(bytes);
      assert.ok(read !== undefined);
      assert.deepEqual(read, readByLibrary(bytes));
    }),
    { numRuns: 3_000 },
  );
});

test('cut and changed messages are refused where protobufjs refuses them', () => {
  const damage = fc.tuple(fc.nat(60), fc.constantFrom(0, 1, 4, 7, 8, 16, 127, 128, 143, 255));
  fc.assert(
    fc.property(fc.array(field), fc.array(damage), fc.nat(90), (parts, changes, cut) => {
      const bytes = new Uint8Array(Buffer.concat(parts)).slice(0, cut);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      assert.deepEqual(readByHand(bytes), readByLibrary(bytes));
    }),
    { numRuns: 20_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.deepEqual(readByHand(bytes), readByLibrary(bytes));
    }),
    { numRuns: 20_000 },
  );
});

test('varints of every length are read or refused as protobufjs does', () => {
  for (let length = 1; length <= 12; length += 1) {
    for (const last of [0, 1, 7, 8, 15, 16, 127]) {
      for (const tag of [16, 8, 18, 24, 17]) {
        const bytes = Uint8Array.of(tag, ...new Array(length - 1).fill(0x80), last, 0, 0, 0);
        assert.deepEqual(readByHand(bytes), readByLibrary(bytes), `${tag}, ${length}, ${last}`);
      }
    }
  }
});

test('a text comes back as it was, whichever texts were read before it', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 })), (texts) => {
      for (const bytes of [...texts, ...texts]) {
        const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        assert.equal(readText(bytes, 0, bytes.length), expected);
      }
    }),
  );
  assert.equal(readText(Buffer.from('xn001yn002'), 1, 5), 'n001');
});
