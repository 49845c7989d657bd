import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseProxyHeader, proxyHeader } from '../../src/edge/proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const from4 = { address: '192.0.2.1', port: 51_000, family: 4 as const };
const to4 = { address: '198.51.100.2', port: 443, family: 4 as const };
const from6 = { address: '2001:db8::1', port: 51_000, family: 6 as const };
const to6 = { address: '2001:db8::2', port: 443, family: 6 as const };

const ADDRESSES_4 = 'c0000201c6336402c73801bb';
const ADDRESSES_6 = `20010db8${'00'.repeat(11)}0120010db8${'00'.repeat(11)}02c73801bb`;

const golden: [
  name: string,
  hex: string,
  source?: typeof from4 | typeof from6,
  destination?: object,
][] = [
  [
    'v1 over IPv4',
    Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 51000 443\r\n').toString('hex'),
    from4,
    to4,
  ],
  [
    'v1 over IPv6',
    Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 51000 443\r\n').toString('hex'),
    from6,
    to6,
  ],
  ['v1 unknown', Buffer.from('PROXY UNKNOWN\r\n').toString('hex')],
  [
    'v1 unknown with addresses',
    Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n').toString('hex'),
  ],
  ['v2 over IPv4', `${SIGNATURE}2111000c${ADDRESSES_4}`, from4, to4],
  ['v2 over IPv6', `${SIGNATURE}21210024${ADDRESSES_6}`, from6, to6],
  ['v2 local', `${SIGNATURE}20000000`],
  ['v2 local with a block to skip', `${SIGNATURE}20110003ffffff`],
  ['v2 unspecified', `${SIGNATURE}21000000`],
  ['v2 Unix', `${SIGNATURE}213100d8${'00'.repeat(216)}`],
  ['v2 with an ALPN TLV', `${SIGNATURE}21110011${ADDRESSES_4}0100026832`, from4, to4],
  // Checksum computed with an independent implementation (most significant bit first).
  ['v2 with a checksum', `${SIGNATURE}21110013${ADDRESSES_4}0300049bb9b102`, from4, to4],
];

for (const [name, hex, source, destination] of golden) {
  test(`reads ${name}, and asks for more at every shorter length`, () => {
    const header = Buffer.from(hex, 'hex');
    const behind = Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n')]);
    const expected = {
      state: 'done',
      bytes: header.length,
      ...(source === undefined ? {} : { source, destination }),
    };
    assert.deepEqual(parseProxyHeader(header), expected);
    assert.deepEqual(parseProxyHeader(behind), expected);
    for (let length = 0; length < header.length; length++) {
      assert.deepEqual(parseProxyHeader(header.subarray(0, length)), { state: 'incomplete' });
    }
  });
}

const wrong: [name: string, bytes: Buffer][] = [
  ['a plain request', Buffer.from('GET / HTTP/1.1\r\n')],
  ['POST', Buffer.from('POST /')],
  ['a TLS hello', Buffer.from('160301', 'hex')],
  ['v1 with another family', Buffer.from('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['v1 with two blanks', Buffer.from('PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n')],
  ['v1 with a word too many', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n')],
  ['v1 with a word missing', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
  ['v1 IPv6 as TCP4', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
  ['v1 IPv4 as TCP6', Buffer.from('PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n')],
  ['v1 with an octal address', Buffer.from('PROXY TCP4 010.0.0.1 192.0.2.2 1 2\r\n')],
  ['v1 with a name', Buffer.from('PROXY TCP4 a.example 192.0.2.2 1 2\r\n')],
  ['v1 with a port above 65535', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n')],
  ['v1 with a signed port', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n')],
  ['v1 with a port in leading zeros', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n')],
  ['v1 in small letters', Buffer.from('proxy TCP4')],
  ['v1 without end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
  ['v1 that ends too late', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['v1 ended by a bare LF', Buffer.from(`PROXY UNKNOWN\n${'x'.repeat(100)}`)],
  ['v2 of version 1', Buffer.from(`${SIGNATURE}1111000c${ADDRESSES_4}`, 'hex')],
  ['v2 with an unknown command', Buffer.from(`${SIGNATURE}2211000c${ADDRESSES_4}`, 'hex')],
  ['v2 for UDP', Buffer.from(`${SIGNATURE}2112000c${ADDRESSES_4}`, 'hex')],
  ['v2 too short for IPv4', Buffer.from(`${SIGNATURE}2111000b${ADDRESSES_4}`, 'hex')],
  ['v2 too short for IPv6', Buffer.from(`${SIGNATURE}2121000c${ADDRESSES_4}`, 'hex')],
  ['v2 of 4097 bytes', Buffer.from(`${SIGNATURE}21111001`, 'hex')],
  ['v2 with a truncated TLV', Buffer.from(`${SIGNATURE}2111000e${ADDRESSES_4}0100`, 'hex')],
  ['v2 with a TLV past its end', Buffer.from(`${SIGNATURE}2111000f${ADDRESSES_4}010001`, 'hex')],
  [
    'v2 with a wrong checksum',
    Buffer.from(`${SIGNATURE}21110013${ADDRESSES_4}03000400000000`, 'hex'),
  ],
  ['v2 with a short checksum', Buffer.from(`${SIGNATURE}21110011${ADDRESSES_4}0300020000`, 'hex')],
];
for (const [name, bytes] of wrong) {
  test(`refuses ${name}`, () => {
    assert.equal(parseProxyHeader(bytes).state, 'invalid');
  });
}

test('a v1 line of exactly 107 bytes is accepted', () => {
  const line = Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`);
  assert.equal(line.length, 107);
  assert.deepEqual(parseProxyHeader(line), { state: 'done', bytes: 107 });
});

test('writes the headers that it reads, byte for byte', () => {
  for (const [index, version, source, destination] of [
    [0, 'v1', from4, to4],
    [1, 'v1', from6, to6],
    [4, 'v2', from4, to4],
    [5, 'v2', from6, to6],
  ] as const) {
    assert.equal(proxyHeader(version, source, destination).toString('hex'), golden[index]![1]);
  }
});

test('writes IPv4 and IPv6 together as IPv6, and an unknown address as unknown', () => {
  assert.equal(
    proxyHeader('v1', from4, to6).toString(),
    'PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 51000 443\r\n',
  );
  assert.equal(
    proxyHeader('v1', { address: '::ffff:192.0.2.1', port: 1 }, to4).toString(),
    'PROXY TCP4 192.0.2.1 198.51.100.2 1 443\r\n',
  );
  const mixed = parseProxyHeader(proxyHeader('v2', from6, to4));
  assert.deepEqual(mixed, { state: 'done', bytes: 52, source: from6, destination: to4 });
  for (const version of ['v1', 'v2'] as const) {
    const header = proxyHeader(version, { address: '', port: 0 }, to4);
    assert.deepEqual(parseProxyHeader(header), { state: 'done', bytes: header.length });
  }
});

const endpoint = fc.record({
  address: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 0, max: 65_535 }),
});

test('reads back whatever it writes', () => {
  fc.assert(
    fc.property(fc.constantFrom('v1', 'v2'), endpoint, endpoint, (version, source, destination) => {
      const header = proxyHeader(version, source, destination);
      const parsed = parseProxyHeader(header);
      assert.ok(parsed.state === 'done' && parsed.bytes === header.length);
      assert.equal(parsed.source?.port, source.port);
      assert.equal(parsed.destination?.port, destination.port);
      const again = proxyHeader(version, parsed.source!, parsed.destination!);
      assert.equal(again.toString('hex'), header.toString('hex'));
    }),
  );
});

test('no bytes make it throw, and its word stands when more bytes come', () => {
  const v1 = fc.constantFrom(
    'PROXY ',
    'TCP4 ',
    'TCP6 ',
    'UNKNOWN',
    '192.0.2.1 ',
    '::1 ',
    '1 ',
    '\r\n',
    '\n',
  );
  const raw = fc.oneof(
    fc.array(v1, { maxLength: 9 }).map((parts) => Buffer.from(`PROXY ${parts.join('')}`)),
    fc
      .tuple(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 80 }))
      .map(([head, rest]) => Buffer.concat([Buffer.from(SIGNATURE, 'hex'), head, rest])),
    fc
      .tuple(
        fc.constantFrom(...golden.map(([, hex]) => Buffer.from(hex, 'hex'))),
        fc.nat(60),
        fc.nat(255),
      )
      .map(([header, at, byte]) => {
        const bytes = Buffer.from(header);
        bytes[at % bytes.length] = byte;
        return bytes;
      }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(raw, fc.uint8Array({ maxLength: 20 }), (bytes, more) => {
      const first = parseProxyHeader(bytes);
      const second = parseProxyHeader(Buffer.concat([bytes, more]));
      if (first.state !== 'incomplete') assert.deepEqual(second, first);
      if (first.state === 'done') {
        assert.ok(first.bytes <= bytes.length);
        assert.equal(first.source === undefined, first.destination === undefined);
      }
    }),
    { numRuns: 20_000 },
  );
});
