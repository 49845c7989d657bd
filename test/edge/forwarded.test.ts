import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cidrMatcher, parseCidr } from '../../src/config/cidr.ts';
import { appended, clientOf, forwardedElement, forwardedFor } from '../../src/edge/forwarded.ts';

const trusted = cidrMatcher(['10.0.0.0/8', '2001:db8:ffff::/48'].map(parseCidr));
const address = (peer: string, xff?: string, forwarded?: string) =>
  clientOf(peer, xff, forwarded, trusted).address;

test('a peer that is not trusted is the client, whatever it says', () => {
  assert.deepEqual(clientOf('192.0.2.9', '10.0.0.1, 203.0.113.7', 'for=203.0.113.7', trusted), {
    address: '192.0.2.9',
    peerTrusted: false,
  });
});

test('a trusted peer that says nothing is the client', () => {
  assert.deepEqual(clientOf('10.0.0.1', undefined, undefined, trusted), {
    address: '10.0.0.1',
    peerTrusted: true,
  });
  assert.equal(address('::ffff:10.0.0.1'), '10.0.0.1');
});

test('the first untrusted address from the right is the client', () => {
  const pairs: [xff: string, client: string][] = [
    ['203.0.113.7', '203.0.113.7'],
    ['1.1.1.1, 203.0.113.7', '203.0.113.7'],
    ['1.1.1.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
    ['1.1.1.1,203.0.113.7 ,\t10.0.0.2,2001:db8:ffff::9', '203.0.113.7'],
    ['203.0.113.7:51000', '203.0.113.7'],
    ['[2001:db8::7]:51000', '2001:db8::7'],
    ['[2001:DB8::7]', '2001:db8::7'],
    ['2001:db8::7', '2001:db8::7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ];
  for (const [xff, client] of pairs) assert.equal(address('10.0.0.1', xff), client, xff);
});

test('an entry that is no address ends the walk at the last trusted hop', () => {
  const pairs: [xff: string, client: string][] = [
    ['203.0.113.7, unknown', '10.0.0.1'],
    ['203.0.113.7, _hidden, 10.0.0.2', '10.0.0.2'],
    ['203.0.113.7, ', '10.0.0.1'],
    ['', '10.0.0.1'],
    ['203.0.113.7,,10.0.0.2', '10.0.0.2'],
    ['010.1.1.1', '10.0.0.1'],
    ['[203.0.113.7]', '10.0.0.1'],
    ['[2001:db8::7', '10.0.0.1'],
    ['[2001:db8::7]x', '10.0.0.1'],
    ['203.0.113.7:x', '10.0.0.1'],
    ['203.0.113.7:123456', '10.0.0.1'],
  ];
  for (const [xff, client] of pairs) assert.equal(address('10.0.0.1', xff), client, xff);
});

test('a chain of thousands of trusted hops is not walked to its end', () => {
  const chain = ['203.0.113.7', ...Array<string>(5_000).fill('10.0.0.2')].join(',');
  assert.equal(address('10.0.0.1', chain), '10.0.0.2');
});

test('Forwarded is read when there is no X-Forwarded-For', () => {
  assert.equal(address('10.0.0.1', undefined, 'for=203.0.113.7'), '203.0.113.7');
  assert.equal(address('10.0.0.1', '203.0.113.8', 'for=203.0.113.7'), '203.0.113.8');
  assert.equal(
    address(
      '10.0.0.1',
      undefined,
      'for=1.1.1.1, For="[2001:db8::7]:51000";proto=https, for=10.0.0.2',
    ),
    '2001:db8::7',
  );
  assert.equal(address('10.0.0.1', undefined, 'for=203.0.113.7, proto=https'), '10.0.0.1');
  assert.equal(address('10.0.0.1', undefined, 'for="x, for=203.0.113.7'), '10.0.0.1');
});

test('reads the examples of RFC 7239 and refuses what its grammar does not allow', () => {
  const pairs: [header: string, hops: string[] | undefined][] = [
    ['for="_gazonk"', ['_gazonk']],
    ['For="[2001:db8:cafe::17]:4711"', ['[2001:db8:cafe::17]:4711']],
    ['for=192.0.2.60;proto=http;by=203.0.113.43', ['192.0.2.60']],
    ['for=192.0.2.43, for=198.51.100.17', ['192.0.2.43', '198.51.100.17']],
    [
      'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
      ['192.0.2.43', '[2001:db8:cafe::17]', 'unknown'],
    ],
    ['proto=https', ['']],
    [' , ;, ', []],
    ['', []],
    ['for="a\\"b\\\\c, d"', ['a"b\\c, d']],
    ['for="a", by="x, for=b"', ['a', '']],
    ['for', undefined],
    ['for=', undefined],
    ['=x', undefined],
    ['for =x', undefined],
    ['for= x', undefined],
    ['for="x', undefined],
    ['for="x"y', undefined],
    ['for=x y', undefined],
    ['for=[::1]', undefined],
    ['for=a;for=b', undefined],
  ];
  for (const [header, hops] of pairs) assert.deepEqual(forwardedFor(header), hops, header);
});

test('an element says who asked, for which host and how', () => {
  assert.equal(
    forwardedElement({ for: '192.0.2.1', host: 'app.example.com', proto: 'https' }),
    'for=192.0.2.1;host=app.example.com;proto=https',
  );
  assert.equal(
    forwardedElement({ for: '2001:DB8::1', by: '::1', host: 'a:8080', proto: 'http' }),
    'by="[::1]";for="[2001:db8::1]";host="a:8080";proto=http',
  );
  assert.equal(
    forwardedElement({ for: '::ffff:192.0.2.1', host: '', proto: 'http' }),
    'for=192.0.2.1;proto=http',
  );
  assert.equal(
    forwardedElement({ for: '', host: 'a', proto: 'http' }),
    'for=unknown;host=a;proto=http',
  );
});

test('an element with any host is read back as one element with the same address', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.ipV4(), fc.ipV6()),
      fc.string({ unit: 'binary', maxLength: 20 }),
      (ip, host) => {
        const element = forwardedElement({ for: ip, host, proto: 'http' });
        assert.equal(forwardedFor(element)?.length, 1, element);
        const chain = appended(appended(undefined, 'for=203.0.113.7'), element);
        const all = () => true;
        assert.equal(clientOf('10.0.0.1', undefined, chain, all).address, '203.0.113.7');
        assert.doesNotMatch(element, /[\r\n\0]/);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('no header from outside makes it throw or name something that is no address', () => {
  const unit = fc.constantFrom(
    ...'for=",;[]:. \\_1a'.split(''),
    '10.0.0.1',
    '203.0.113.7',
    '::1',
    'for=',
  );
  const header = fc.oneof(fc.string({ unit, maxLength: 24 }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.option(header, { nil: undefined }), header, (xff, forwarded) => {
      const { address: client } = clientOf('10.0.0.1', xff, forwarded, trusted);
      assert.match(client, /^[0-9a-f:.]+$/);
    }),
    { numRuns: 20_000 },
  );
});

test('what a client writes to the left of its own address changes nothing', () => {
  const nonsense = fc.oneof(fc.ipV4(), fc.string({ unit: 'binary', maxLength: 20 }));
  fc.assert(
    fc.property(nonsense, (left) => {
      assert.equal(address('10.0.0.1', `${left}, 203.0.113.7, 10.9.9.9`), '203.0.113.7');
    }),
    { numRuns: 2_000 },
  );
});
