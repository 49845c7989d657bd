import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { flowKey } from '../../bench/mesh/flow.ts';
import {
  digestEcho,
  readDigest,
  readReply,
  readSnapshotHead,
  writeDigest,
  writeReply,
  writeSnapshotHead,
} from '../../src/proto/ticket-digest.ts';
import { readAck, readFrame, writeAck, writeFrameHead } from '../../src/proto/ticket-frame.ts';
import { KEY_BYTES, KEY_WORDS, readKey } from '../../src/proto/ticket-key.ts';
import { PartWriter, partEnd, readPart } from '../../src/proto/ticket-part.ts';
import { readAnswers, readAsks, writeAnswer, writeAsk } from '../../src/proto/ticket-query.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'));

function longKey(): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  const bytes = new Uint8Array(KEY_BYTES);
  bytes.set(unhex('20010db8 00000000 00000000 00000001'), 0);
  bytes.set(unhex('20010db8 00000000 00000000 00000010'), 16);
  bytes.set(unhex('c738 01bb'), 32);
  readKey(bytes, 0, key);
  return key;
}

interface Record {
  readonly ended: boolean;
  readonly bucket: number;
  readonly key: string;
  readonly generation: number;
}

function records(bytes: Uint8Array, at = 0): Record[] {
  const list: Record[] = [];
  const note = (ended: boolean) => (bucket: number, key: Uint32Array, generation: number) =>
    void list.push({ ended, bucket, key: key.join(), generation });
  readPart(bytes, at, { born: note(false), ended: note(true) });
  return list;
}

test('golden: a frame with one part of each kind and the repeated part before it', () => {
  const bytes = new Uint8Array(200);
  let at = writeFrameHead(bytes, 0x01020304, 0x05060708, true);
  const writer = new PartWriter(500);
  writer.add(true, 0xabcd, flowKey(0xc738), 0x11223344);
  writer.add(false, 0x1234, flowKey(0xc738), 0x11223345);
  writer.add(false, 0xffff, longKey(), 7);
  at = writer.finish(bytes, at);
  writer.add(true, 1, flowKey(1), 1);
  at = writer.finish(bytes, at);
  assert.equal(
    hex(bytes.subarray(0, at)),
    [
      '0102030405060708' + '01' + '03',
      '01120001' + '1234' + 'cb007100c000020ac73801bb' + '11223345',
      '022a0001' + 'ffff' + '20010db8000000000000000000000001' + '20010db8000000000000000000000010',
      'c73801bb' + '00000007',
      '03120001' + 'abcd' + 'cb007100c000020ac73801bb' + '11223344',
      '01' + '03120001' + '0001' + 'cb007100c000020a000101bb' + '00000001',
    ].join(''),
  );
  const frame = readFrame(bytes.subarray(0, at))!;
  assert.deepEqual([frame.stream, frame.sequence, frame.at], [0x01020304, 0x05060708, 9]);
  assert.equal(records(bytes, frame.at).length, 3);
  assert.equal(records(bytes, frame.repeatedAt).length, 1);
});

test('golden: acknowledgement, digest, reply, snapshot, question and answer', () => {
  const bytes = new Uint8Array(600);
  const ack = {
    stream: 1,
    complete: 100,
    missingTo: 119,
    ranges: [[103, 104] as const, [120, 120] as const],
  };
  const text = hex(bytes.subarray(0, writeAck(bytes, ack)));
  assert.equal(text, '00000001' + '00000064' + '00000077' + '02' + '00030002' + '00140001');
  assert.deepEqual(readAck(unhex(text)), ack);

  const counts = new Uint32Array(64);
  const hashes = new Int32Array(64);
  counts[0] = 5;
  hashes[0] = -1;
  counts[63] = 1;
  hashes[63] = 0x01020304;
  const digest = { stream: 2, sequence: 3, table: 0xdeadbeef, counts, hashes };
  const digestText = hex(bytes.subarray(0, writeDigest(bytes, digest)));
  assert.equal(
    digestText,
    '00000002' +
      '00000003' +
      'deadbeef' +
      '8000000000000001' +
      '00000005ffffffff' +
      '0000000101020304',
  );
  assert.deepEqual(readDigest(unhex(digestText)), digest);

  const cells = { counts: new Uint32Array([0, 9]), hashes: new Int32Array([0, 2]) };
  const echo = undefined;
  const reply = { stream: 2, sequence: 3, status: 'differs' as const, group: 17, cells, echo };
  const replyText = hex(bytes.subarray(0, writeReply(bytes, reply)));
  assert.equal(
    replyText,
    '00000002' + '00000003' + '03' + '11' + '02' + '0000000000000000' + '0000000900000002',
  );
  assert.deepEqual(readReply(unhex(replyText)), reply);
  const busy = hex(bytes.subarray(0, writeReply(bytes, { ...reply, status: 'busy' })));
  assert.equal(busy, '00000002' + '00000003' + '01');
  assert.equal(readReply(unhex(busy))?.status, 'busy');

  // Since protocol 2 it names the digest that it answers.
  for (const [before, status] of [
    [replyText, 'differs'],
    [busy, 'busy'],
  ] as const) {
    const named = { ...reply, status, echo: 0x0a0b0c0d };
    const namedText = hex(bytes.subarray(0, writeReply(bytes, named)));
    assert.equal(namedText, `${before}0a0b0c0d`);
    assert.equal(readReply(unhex(`${namedText}ffff`))?.echo, 0x0a0b0c0d);
  }
  assert.equal(digestEcho(0xdeadbeef, digest).toString(16), 'de38261');

  const head = {
    stream: 1,
    sequence: 2,
    table: 3,
    generation: 4,
    firstBucket: 16,
    buckets: 65_520,
    partial: true,
  };
  const headAt = writeSnapshotHead(bytes, head);
  bytes[headAt] = 0;
  const headText = hex(bytes.subarray(0, headAt + 1));
  assert.equal(
    headText,
    '00000001000000020000000300000004' + '00000010' + '0000fff0' + '01' + '00',
  );
  assert.deepEqual(readSnapshotHead(unhex(headText)), head);
  assert.equal(readSnapshotHead(unhex(headText.replace('0000fff0', '0000fff1'))), undefined);

  let at = writeAsk(bytes, 0, 0xa1a2a3a4, flowKey(3));
  at = writeAsk(bytes, at, 1, longKey());
  const asks = hex(bytes.subarray(0, at));
  assert.equal(asks.slice(0, 34), 'a1a2a3a4' + '0c' + 'cb007100c000020a000301bb');
  const read: string[] = [];
  assert.ok(readAsks(unhex(asks), (id, key) => read.push(`${id}:${key.join()}`)));
  assert.deepEqual(read, [`${0xa1a2a3a4}:${flowKey(3).join()}`, `1:${longKey().join()}`]);

  const answer = { id: 7, known: true, low: -2, high: 3, boot: 4 };
  const answers = hex(bytes.subarray(0, writeAnswer(bytes, 0, answer)));
  assert.equal(answers, '00000007' + '01' + 'fffffffe' + '00000003' + '00000004');
  assert.deepEqual(readAnswers(unhex(answers)), [answer]);
});

test('records go through a part and back, births first, and never beyond its size', () => {
  const record = fc.record({
    ended: fc.boolean(),
    bucket: fc.integer({ min: 0, max: 0xffff }),
    n: fc.integer({ min: -1, max: 0xffff }),
    generation: fc.integer({ min: 0, max: 0xffff_ffff }),
  });
  const list = fc.array(record, { maxLength: 80, size: 'max' });
  fc.assert(
    fc.property(list, fc.integer({ min: 60, max: 1_000 }), (given, most) => {
      const writer = new PartWriter(most);
      const expected: Record[] = [];
      for (const { ended, bucket, n, generation } of given) {
        const key = n < 0 ? longKey() : flowKey(n);
        if (!writer.add(ended, bucket, key, generation)) continue;
        expected.push({ ended, bucket, key: key.join(), generation });
      }
      const { bytes: length } = writer;
      const bytes = new Uint8Array(length + 10).fill(0xee);
      assert.ok(length <= most);
      assert.equal(writer.finish(bytes, 3), length + 3);
      assert.equal(partEnd(bytes, 3), length + 3);
      const name = (r: Record): string => JSON.stringify(r);
      const got = records(bytes, 3);
      assert.deepEqual(got.map(name).sort(), expected.map(name).sort());
      const firstEnd = got.findIndex(({ ended }) => ended);
      if (firstEnd >= 0) assert.ok(got.slice(firstEnd).every(({ ended }) => ended));
      assert.equal(writer.records, 0);
    }),
  );
});

test('sections of unknown kinds and unknown bytes at the end of records are skipped', () => {
  const bytes = unhex(
    [
      '03',
      '09050002' + 'aaaaaaaaaa' + 'bbbbbbbbbb',
      '01140001' + '1234' + 'cb007100c000020ac73801bb' + '11223345' + 'ffff',
      'ff000000',
    ].join(''),
  );
  assert.equal(partEnd(bytes, 0), bytes.length);
  assert.deepEqual(records(bytes), [
    { ended: false, bucket: 0x1234, key: flowKey(0xc738).join(), generation: 0x11223345 },
  ]);
});

test('a known record that is too short, or a part that is cut, is refused', () => {
  const bytes = new Uint8Array(100);
  const writer = new PartWriter(100);
  writer.add(false, 1, flowKey(1), 1);
  const end = writer.finish(bytes, 0);
  for (let length = 0; length < end; length++)
    assert.equal(partEnd(bytes.subarray(0, length), 0), -1);
  bytes[2] = 17;
  assert.equal(partEnd(bytes, 0), -1);
});

test('no bytes make a reader throw or read beyond them', () => {
  const bytes = fc.uint8Array({ maxLength: 1_200, size: 'max' });
  const nothing = { born: () => {}, ended: () => {} };
  fc.assert(
    fc.property(bytes, (body) => {
      const end = partEnd(body, 0);
      assert.ok(end === -1 || (end > 0 && end <= body.length));
      if (end > 0) readPart(body, 0, nothing);
      const frame = readFrame(body);
      if (frame !== undefined) readPart(body, frame.at, nothing);
      if (frame !== undefined && frame.repeatedAt >= 0) readPart(body, frame.repeatedAt, nothing);
      readAck(body);
      readDigest(body);
      readReply(body);
      if (readSnapshotHead(body) !== undefined) readPart(body, 25, nothing);
      readAsks(body, () => {});
      readAnswers(body);
    }),
    { numRuns: 3_000 },
  );
});
