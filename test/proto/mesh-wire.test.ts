/** Golden bytes: a change here is a change of the protocol, and needs a new protocol version. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claim, decodeClaim, encodeClaim } from '../../src/proto/claim.ts';
import {
  envelopeCounter,
  envelopeFault,
  envelopeKind,
  envelopeSession,
  KIND_DATA,
  writeEnvelopeHead,
} from '../../src/proto/envelope.ts';
import { decodeExchange, encodeExchange } from '../../src/proto/exchange.ts';
import { decodeIntroduction, encodeIntroduction } from '../../src/proto/introduction.ts';
import { PacketWriter, readPacket } from '../../src/proto/packet.ts';
import { decodeProbe, encodeAck, encodePing, encodePingRequest } from '../../src/proto/probe.ts';
import { decodeRumour, encodeRumour } from '../../src/proto/rumour.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const claim: Claim = {
  id: 'fra1-a',
  incarnation: 3,
  run: 0x01020304,
  status: 0,
  accuser: '',
  boot: 0x0a0b0c0d,
  pop: 'fra1',
  address: '192.0.2.1:7946',
  configDigest: 0xcafe,
  version: '0.1.0',
  protocolMin: 1,
  protocolMax: 1,
  draining: true,
};

const GOLDEN_CLAIM =
  '0a06667261312d6110031d04030201350d0c0b0a3a046672613142' +
  '0e3139322e302e322e313a373934364dfeca000052' +
  '05302e312e305801600168' +
  '01';

test('the head of a datagram has its bytes where they always were', () => {
  const head = new Uint8Array(16);
  writeEnvelopeHead(head, KIND_DATA, 0x11223344, 0x55667788, 0x0102_0304_0506);
  assert.equal(hex(head), '01031122334455667788010203040506');
  assert.equal(envelopeKind(head), KIND_DATA);
  assert.equal(envelopeSession(head), 0x55667788);
  assert.equal(envelopeCounter(head), 0x0102_0304_0506);
});

test('what is wrong with a head is named', () => {
  const datagram = new Uint8Array(64);
  writeEnvelopeHead(datagram, KIND_DATA, 7, 1, 1);
  assert.equal(envelopeFault(datagram, 7, 1_200), undefined);
  assert.equal(envelopeFault(datagram, 8, 1_200), 'foreignLabel');
  assert.equal(envelopeFault(datagram.subarray(0, 31), 7, 1_200), 'truncated');
  assert.equal(envelopeFault(new Uint8Array(0), 7, 1_200), 'truncated');
  assert.equal(envelopeFault(new Uint8Array(1_201), 7, 1_200), 'oversized');
  datagram[0] = 2;
  assert.equal(envelopeFault(datagram, 7, 1_200), 'unknownVersion');
});

test('claims have golden bytes', () => {
  assert.equal(hex(encodeClaim(claim)), GOLDEN_CLAIM);
  assert.deepEqual(decodeClaim(bytesOf(GOLDEN_CLAIM)), claim);
  const suspect = { ...claim, status: 1, accuser: 'b' } as const;
  assert.equal(hex(encodeClaim(suspect, true)), '0a06667261312d6110031d0403020120012a0162');
});

test('probes have golden bytes', () => {
  assert.equal(hex(encodePing(300, 0x01020304)), '08ac021504030201');
  assert.equal(hex(encodeAck(300)), '08ac02');
  assert.equal(hex(encodePingRequest(5, 'b')), '0805120162');
  assert.deepEqual(decodeProbe(encodePing(300, 9)), { sequence: 300, run: 9, target: '' });
});

test('rumours, exchanges and introductions have golden bytes', () => {
  const rumour = { channel: 33, key: 'k', body: Uint8Array.of(1, 2) };
  assert.equal(hex(encodeRumour(rumour)), '08211201 6b1a020102'.replace(' ', ''));
  const exchange = { reply: true, digest: 0x01020304, claims: [] };
  assert.equal(hex(encodeExchange(exchange)), '08011504030201');
  const none = new Uint8Array(0);
  const introduction = encodeIntroduction({ claim, identity: none, signature: none });
  assert.equal(hex(introduction), `0a3c${GOLDEN_CLAIM}`);
  const padded = encodeIntroduction({ claim, identity: none, signature: none }, 592);
  assert.equal(padded.length, 592);
  assert.deepEqual(decodeIntroduction(padded)?.claim, claim);
});

test('a packet is a protobuf message whose fields are its messages', () => {
  const packet = new PacketWriter(64, 4, 4);
  assert.ok(packet.append(1, Uint8Array.of(8, 1)));
  assert.ok(packet.append(40, Uint8Array.of(9)));
  assert.equal(hex(packet.content()), '0a020801c2020109');
  assert.equal(packet.append(2, new Uint8Array(60)), false);
  assert.equal(packet.contentBytes, 8);
  const fields = readPacket(packet.content())!;
  assert.deepEqual(
    fields.map(({ field, body }) => [field, hex(body)]),
    [
      [1, '0801'],
      [40, '09'],
    ],
  );
});

test('fields of a later version are skipped, wherever they stand', () => {
  const later = bytesOf(`a0060 1${GOLDEN_CLAIM} aa0603616263 b50601020304 b9060102030405060708`);
  assert.deepEqual(decodeClaim(later), claim);
  assert.equal(decodeProbe(bytesOf('08ac02 7a0401020304'))?.sequence, 300);
  // A known number with another wire type is another field.
  assert.equal(decodeProbe(bytesOf('0a0131 0805'))?.sequence, 5);
  // Message types without a length are skipped, those with one are handed on by number.
  assert.deepEqual(
    readPacket(bytesOf('7801 ea07020102'))!.map(({ field }) => field),
    [125],
  );
});

test('claims outside their bounds are refused', () => {
  const broken: Partial<Claim>[] = [
    { id: '' },
    { id: 'a b' },
    { id: 'x'.repeat(65) },
    { run: 0 },
    { incarnation: 0 },
    { incarnation: 0x8000_0000 },
    { boot: 0 },
    { pop: '' },
    { address: '' },
    { address: 'x'.repeat(65) },
    { version: 'x'.repeat(33) },
    { protocolMin: 0 },
    { protocolMin: 3, protocolMax: 2 },
    { accuser: '\n', status: 1 },
  ];
  for (const change of broken) {
    assert.equal(
      decodeClaim(encodeClaim({ ...claim, ...change })),
      undefined,
      JSON.stringify(change),
    );
  }
  assert.equal(decodeClaim(encodeClaim({ ...claim, status: 4 as 3 })), undefined);
});

test('no bytes make a parser throw', () => {
  const parsers = [
    decodeClaim,
    decodeProbe,
    decodeRumour,
    decodeExchange,
    decodeIntroduction,
    readPacket,
  ];
  const seeds = [
    encodeClaim(claim),
    encodePing(1, 2),
    encodeExchange({ reply: false, digest: 1, claims: [claim, claim] }),
    encodeRumour({ channel: 20, key: 'key', body: new Uint8Array(9) }),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const parse of parsers) parse(bytes);
    }),
    { numRuns: 3_000 },
  );
  // Good messages with a few bytes changed or cut get deeper.
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(250), fc.nat(255)), { maxLength: 4 }),
      fc.nat(250),
      (seed, changes, cut) => {
        const bytes = seed.slice(0, cut);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        for (const parse of parsers) parse(bytes);
      },
    ),
    { numRuns: 5_000 },
  );
});

test('every claim comes back from its bytes as it was', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);
  const u32 = fc.integer({ min: 1, max: 0xffff_ffff });
  const claims = fc.record<Claim>({
    id: name,
    incarnation: fc.integer({ min: 1, max: 0x7fff_ffff }),
    run: u32,
    status: fc.constantFrom(0, 1, 2, 3),
    accuser: fc.oneof(fc.constant(''), name),
    boot: u32,
    pop: name,
    address: fc.constantFrom('192.0.2.1:7946', '[2001:db8::1]:7946'),
    configDigest: fc.integer({ min: 0, max: 0xffff_ffff }),
    version: fc.string({ maxLength: 32 }).filter((text) => !/[\ud800-\udfff]/.test(text)),
    protocolMin: fc.constant(1),
    protocolMax: fc.integer({ min: 1, max: 9 }),
    draining: fc.boolean(),
  });
  fc.assert(
    fc.property(claims, (original) => {
      assert.deepEqual(decodeClaim(encodeClaim(original)), { ...original });
    }),
  );
});
