import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  authorityOf,
  hostFault,
  originForm,
  requestFramingFault,
  requestTargetFault,
  upgradeFramingFault,
} from '../../src/edge/framing.ts';

const sound: [name: string, minor: number, headers: string[]][] = [
  ['a plain request', 1, ['Host', 'a.example', 'Accept', '*/*']],
  ['HTTP/1.0 without Host', 0, ['Accept', '*/*']],
  ['a port', 1, ['host', 'a.example:8080']],
  ['an IPv6 host', 1, ['HOST', '[2001:db8::1]:8080']],
  ['an empty port', 1, ['Host', 'a:']],
  ['a length', 1, ['Host', 'a', 'Content-Length', '5']],
  ['a length with leading zeros', 1, ['Host', 'a', 'Content-Length', '0005']],
  ['the largest exact length', 1, ['Host', 'a', 'content-length', '9007199254740991']],
  ['chunked', 1, ['Host', 'a', 'Transfer-Encoding', 'chunked']],
  ['chunked in capitals', 1, ['Host', 'a', 'TRANSFER-ENCODING', 'CHUNKED']],
  ['keep-alive', 1, ['Host', 'a', 'Connection', 'keep-alive']],
  ['an upgrade', 1, ['Host', 'a', 'Connection', 'keep-alive, Upgrade', 'Upgrade', 'websocket']],
  ['a name that only begins like Host', 1, ['Host', 'a', 'Hosts', 'b', 'X-Host', 'b']],
  ['names of the same length', 1, ['Host', 'a', 'Date', 'x', 'Content-Locatn', 'b']],
  ['Connection that names something longer', 1, ['Host', 'a', 'Connection', 'x-host, hosts']],
  ['a tab and high bytes in a value', 1, ['Host', 'a', 'X', 'a\tb\xe9']],
];
for (const [name, minor, headers] of sound) {
  test(`accepts ${name}`, () => {
    assert.equal(requestFramingFault(minor, headers), undefined);
  });
}

const faulty: [name: string, minor: number, headers: string[], text: RegExp][] = [
  ['CL and TE', 1, ['Host', 'a', 'Content-Length', '5', 'Transfer-Encoding', 'chunked'], /both/],
  ['TE and CL', 1, ['Host', 'a', 'Transfer-Encoding', 'chunked', 'Content-Length', '5'], /both/],
  ['equal CL twice', 1, ['Host', 'a', 'Content-Length', '5', 'content-length', '5'], /one Content/],
  ['CL twice', 1, ['Host', 'a', 'Content-Length', '5', 'CONTENT-LENGTH', '6'], /one Content/],
  ['equal Hosts', 1, ['Host', 'a', 'X', 'y', 'hOST', 'a'], /one Host/],
  ['two Hosts in HTTP/1.0', 0, ['Host', 'a', 'Host', 'b'], /one Host/],
  ['no Host', 1, ['Accept', '*/*'], /no Host/],
  ['no headers at all', 1, [], /no Host/],
  ['a signed length', 1, ['Host', 'a', 'Content-Length', '+5'], /not a number/],
  ['a negative length', 1, ['Host', 'a', 'Content-Length', '-5'], /not a number/],
  ['a list of lengths', 1, ['Host', 'a', 'Content-Length', '5, 5'], /not a number/],
  ['a hexadecimal length', 1, ['Host', 'a', 'Content-Length', '0x5'], /not a number/],
  ['a length with a blank', 1, ['Host', 'a', 'Content-Length', '5 '], /not a number/],
  ['an empty length', 1, ['Host', 'a', 'Content-Length', ''], /empty/],
  ['a length above 2^53', 1, ['Host', 'a', 'Content-Length', '9007199254740992'], /too large/],
  ['a huge length', 1, ['Host', 'a', 'Content-Length', '1'.repeat(40)], /too large/],
  ['TE identity, chunked', 1, ['Host', 'a', 'Transfer-Encoding', 'identity, chunked'], /other/],
  ['TE gzip, chunked', 1, ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'], /other/],
  ['TE xchunked', 1, ['Host', 'a', 'Transfer-Encoding', 'xchunked'], /other/],
  ['TE with a blank', 1, ['Host', 'a', 'Transfer-Encoding', ' chunked'], /other/],
  ['TE of 7 other letters', 1, ['Host', 'a', 'Transfer-Encoding', 'deflate'], /other/],
  ['an empty TE', 1, ['Host', 'a', 'Transfer-Encoding', ''], /other/],
  [
    'TE twice',
    1,
    ['Host', 'a', 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
    /one Transfer/,
  ],
  ['TE in HTTP/1.0', 0, ['Host', 'a', 'Transfer-Encoding', 'chunked'], /1\.0/],
  ['Connection: content-length', 1, ['Host', 'a', 'Connection', 'content-length'], /names/],
  ['Connection: close, Host', 1, ['Host', 'a', 'Connection', 'close, Host'], /names/],
  [
    'Connection with odd blanks',
    1,
    ['Host', 'a', 'Connection', ',\t ,Transfer-Encoding \t, x'],
    /names/,
  ],
  [
    'a second Connection header',
    1,
    ['Host', 'a', 'Connection', 'close', 'Connection', 'Content-Length'],
    /names/,
  ],
  ['NUL in a value', 1, ['Host', 'a', 'X', 'a\0b'], /control/],
  ['CR in a value', 1, ['Host', 'a', 'X', 'a\rb'], /control/],
  ['LF in a value', 1, ['Host', 'a', 'X', 'a\nb'], /control/],
  ['a folded line', 1, ['X', 'a\r\n b', 'Host', 'a'], /control/],
  ['user info in Host', 1, ['Host', 'u@a'], /character/],
  ['a path in Host', 1, ['Host', 'a/b'], /character/],
  ['a blank in Host', 1, ['Host', 'a b'], /character/],
  ['a list in Host', 1, ['Host', 'a,b'], /character/],
  ['a quote in Host', 1, ['Host', 'a"b'], /character/],
  ['a high byte in Host', 1, ['Host', 'a\xe9'], /character/],
  ['a character above 255 in Host', 1, ['Host', 'a\u{2024}'], /character/],
  ['an empty Host', 1, ['Host', ''], /empty/],
  ['only a port in Host', 1, ['Host', ':80'], /character/],
  ['a port that is no number', 1, ['Host', 'a:8o'], /port/],
  ['a port above 65535', 1, ['Host', 'a:65536'], /port/],
  ['two ports', 1, ['Host', 'a:1:2'], /port/],
  ['an open bracket', 1, ['Host', '[::1'], /IPv6/],
  ['a name in brackets', 1, ['Host', '[name]'], /IPv6/],
  ['empty brackets', 1, ['Host', '[]'], /IPv6/],
  ['text behind brackets', 1, ['Host', '[::1]x'], /character/],
];
for (const [name, minor, headers, text] of faulty) {
  test(`refuses ${name}`, () => {
    assert.match(requestFramingFault(minor, headers) ?? 'accepted', text);
  });
}

test('an upgrade may carry no body', () => {
  assert.equal(upgradeFramingFault(['Host', 'a', 'Upgrade', 'websocket']), undefined);
  assert.equal(upgradeFramingFault(['Content-Length', '0']), undefined);
  assert.match(upgradeFramingFault(['content-length', '5']) ?? '', /body/);
  assert.match(upgradeFramingFault(['transfer-encoding', 'chunked']) ?? '', /Transfer/);
});

test('accepts targets in origin form, absolute form for the same host, and * for OPTIONS', () => {
  assert.equal(requestTargetFault('GET', '/a?b', 'h'), undefined);
  assert.equal(requestTargetFault('GET', '//a', 'h'), undefined);
  assert.equal(requestTargetFault('GET', '/a\\b', 'h'), undefined);
  assert.equal(requestTargetFault('OPTIONS', '*', 'h'), undefined);
  assert.equal(requestTargetFault('GET', 'http://H:80/x', 'h:80'), undefined);
  assert.equal(requestTargetFault('GET', 'HTTPS://h', 'h'), undefined);
});

test('refuses other targets', () => {
  assert.match(requestTargetFault('GET', '/a#b', 'h') ?? '', /fragment/);
  assert.match(requestTargetFault('GET', '*', 'h') ?? '', /other method/);
  assert.match(requestTargetFault('CONNECT', 'h:443', 'h') ?? '', /CONNECT/);
  assert.match(requestTargetFault('CONNECT', '/', 'h') ?? '', /CONNECT/);
  assert.match(requestTargetFault('GET', 'h:443', 'h') ?? '', /not a path/);
  assert.match(requestTargetFault('GET', 'ftp://h/', 'h') ?? '', /not a path/);
  assert.match(requestTargetFault('GET', 'http://other/', 'h') ?? '', /different/);
  assert.match(requestTargetFault('GET', 'http://u@h/', 'h') ?? '', /invalid host/);
  assert.match(requestTargetFault('GET', 'http:///x', 'h') ?? '', /invalid host/);
});

test('the origin form of an absolute target is its path and query', () => {
  assert.equal(originForm('/x?y=http://b/'), '/x?y=http://b/');
  assert.equal(originForm('*'), '*');
  assert.equal(originForm('http://a/x?y'), '/x?y');
  assert.equal(originForm('https://a'), '/');
  assert.equal(originForm('http://a?y'), '/?y');
  assert.equal(authorityOf('http://[::1]:8080/x'), '[::1]:8080');
});

test('never throws, and a head it accepts has one Host and at most one way of framing', () => {
  const name = fc.constantFrom(
    'Host',
    'host',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'X',
  );
  const value = fc.oneof(
    fc.constantFrom('chunked', 'a', '5', '5, 5', 'close', 'content-length', '[::1]', 'a:1'),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1),
      fc.array(fc.tuple(name, value), { maxLength: 6 }),
      (minor, pairs) => {
        if (requestFramingFault(minor, pairs.flat()) !== undefined) return;
        const of = (wanted: string) => pairs.filter(([n]) => n.toLowerCase() === wanted);
        const framings = of('content-length').length + of('transfer-encoding').length;
        assert.ok(framings <= 1);
        assert.ok(of('host').length === 1 || (minor === 0 && of('host').length === 0));
        for (const [, te] of of('transfer-encoding')) assert.equal(te.toLowerCase(), 'chunked');
        for (const [, cl] of of('content-length')) assert.match(cl, /^\d+$/);
        for (const [, v] of pairs) assert.doesNotMatch(v, /[\r\n\0]/);
      },
    ),
    { numRuns: 5_000 },
  );
});

test('a host it accepts is a host by a plain regular expression, and the other way round', () => {
  const plain = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]{2,}\])(?::(\d*))?$/;
  const unit = fc.constantFrom(...'aZ0._-[]::@/ ,%\t"é'.split(''));
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (host) => {
      const match = plain.exec(host);
      const expected = match !== null && Number(match[1] ?? 0) <= 65_535;
      assert.equal(hostFault(host) === undefined, expected, host);
    }),
    { numRuns: 5_000 },
  );
});
