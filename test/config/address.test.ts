import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AddressError, formatHostPort, parseHostPort } from '../../src/config/address.ts';
import { cidrMatcher, parseCidr } from '../../src/config/cidr.ts';
import { formatListener, parseListener } from '../../src/config/listener.ts';
import { parseOrigin } from '../../src/config/origin.ts';

test('addresses are read with and without host, brackets and port', () => {
  assert.deepEqual(parseHostPort(':8080'), { host: '', port: 8080 });
  assert.deepEqual(parseHostPort('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  assert.deepEqual(parseHostPort('[2001:db8::10]:443'), { host: '2001:db8::10', port: 443 });
  assert.deepEqual(parseHostPort('localhost', 9), { host: 'localhost', port: 9 });
});

test('an address that cannot be read says how to write it', () => {
  assert.throws(() => parseHostPort('2001:db8::10'), /write \[2001:db8::10\]:PORT/);
  assert.throws(() => parseHostPort('h:'), /write HOST:PORT/);
  assert.throws(() => parseHostPort('h'), /has no port: write h:PORT/);
  assert.throws(() => parseHostPort('h:65536'), /port 65536 is above 65535/);
  assert.throws(() => parseHostPort('[::g]:1'), /is not an IPv6 address/);
  assert.throws(() => parseHostPort('1.2.3:1'), /is not an IPv4 address/);
});

test('what is parsed is written back the same, and nothing else is thrown', () => {
  const port = fc.nat(65_535);
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port, (host, at) => {
      const text = formatHostPort({ host, port: at });
      assert.deepEqual(parseHostPort(text), { host, port: at });
    }),
  );
  const parsers = [parseHostPort, parseListener, parseOrigin, parseCidr];
  const piece = fc.constantFrom(
    '[',
    ']',
    ':',
    '/',
    'http',
    's://',
    '1',
    '.',
    'a',
    '@',
    '?',
    '%',
    ' ',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(text, fc.constantFrom(...parsers), (each, parse) => {
      try {
        parse(each);
      } catch (error) {
        assert.ok(error instanceof AddressError, String(error));
      }
    }),
    { numRuns: 5_000 },
  );
});

test('a listener speaks https when it says so, or on port 443', () => {
  assert.equal(formatListener(parseListener('192.0.2.10:443')), 'https://192.0.2.10:443');
  assert.equal(formatListener(parseListener('http://:443')), 'http://:443');
  assert.equal(formatListener(parseListener('https://[::1]:8443')), 'https://[::1]:8443');
  assert.equal(formatListener(parseListener('https://[::1]')), 'https://[::1]:443');
  assert.throws(() => parseListener('example.com:80'), /listeners are not looked up by name/);
});

test('an origin has one spelling and one id, however it is written', () => {
  assert.equal(parseOrigin('app:80').url, 'http://app:80');
  for (const text of ['APP:80', 'http://app', 'HTTP://App:80/']) {
    assert.deepEqual(parseOrigin(text).url, 'http://app:80');
    assert.equal(parseOrigin(text).id, parseOrigin('app:80').id);
  }
  assert.equal(parseOrigin('https://app').url, 'https://app:443');
  assert.throws(() => parseOrigin('http://app/path'), /without path or user/);
  assert.throws(() => parseOrigin('http://user@app'), /without path or user/);
});

test('ranges know their members, and an IPv4 address inside IPv6 is still IPv4', () => {
  const inside = cidrMatcher([
    parseCidr('10.0.0.0/8'),
    parseCidr('2001:db8::/32'),
    parseCidr('::1'),
  ]);
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::9', '::1']) {
    assert.equal(inside(address), true, address);
  }
  for (const address of ['11.0.0.1', '2001:db9::', '::2', 'nonsense', '']) {
    assert.equal(inside(address), false, address);
  }
  assert.throws(() => parseCidr('10.0.0.0/33'), /is not an address range/);
  assert.throws(() => parseCidr('10'), /is not an address range/);
});
