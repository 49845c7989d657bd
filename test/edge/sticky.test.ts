import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cookieValue, StickyCookie } from '../../src/edge/sticky.ts';

test('finds a cookie among others', () => {
  const pairs: [header: string | undefined, value: string | undefined][] = [
    ['a=1', '1'],
    ['x=0; a=1; y=2', '1'],
    ['x=0;a=1', '1'],
    ['  a=1  ', '1'],
    ['a="1"', '1'],
    ['a="', '"'],
    ['a=', ''],
    ['a=1; a=2', '1'],
    ['aa=1; a=2', '2'],
    ['ba=1; xa=3', undefined],
    ['x=a=1', undefined],
    ['x=y a=1', undefined],
    ['a', undefined],
    ['a ; b=1', undefined],
    ['', undefined],
    [undefined, undefined],
  ];
  for (const [header, value] of pairs)
    assert.equal(cookieValue(header, 'a'), value, header ?? 'none');
});

test('agrees with splitting at semicolons', () => {
  const unit = fc.constantFrom('a', 'b', '=', ';', ' ', '"');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 16 }), (header) => {
      let expected: string | undefined;
      for (const pair of header.split(';')) {
        const match = /^ *a=(.*?) *$/.exec(pair);
        if (match === null) continue;
        expected = /^"(.*)"$/.exec(match[1]!)?.[1] ?? match[1]!;
        break;
      }
      assert.equal(cookieValue(header, 'a'), expected, JSON.stringify(header));
    }),
    { numRuns: 10_000 },
  );
});

test('names an origin for the session or for a time, over TLS only if it came so', () => {
  const session = new StickyCookie({ cookie: 'c', maxAgeS: 0 });
  assert.equal(session.setCookie('id', false), 'c=id; Path=/; HttpOnly; SameSite=Lax');
  const hour = new StickyCookie({ cookie: 'c', maxAgeS: 3_600 });
  assert.equal(
    hour.setCookie('id', true),
    'c=id; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure',
  );
});
