import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergedSlashes, normalizedPath } from '../../src/edge/path.ts';

const pairs: [sent: string, normal: string | undefined][] = [
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/b/', '/a/b/'],
  ['/a//b', '/a//b'],
  ['/a.b/..c/.d/e..', '/a.b/..c/.d/e..'],
  ['/.well-known/x', '/.well-known/x'],
  ['/.../a', '/.../a'],
  ['/a/./b', '/a/b'],
  ['/a/.', '/a/'],
  ['/.', '/'],
  ['/a/..', '/'],
  ['/a/b/..', '/a/'],
  ['/a/b/../../c', '/c'],
  ['/public/../admin', '/admin'],
  ['/public/%2e%2e/admin', '/admin'],
  ['/public/.%2E/admin', '/admin'],
  ['/a//../b', '/a/b'],
  ['/%61dmin', '/admin'],
  ['/%7Euser', '/~user'],
  ['/%c3%a9', '/%C3%A9'],
  ['/%252e%252e/a', '/%252e%252e/a'],
  ['/group%2fname', '/group%2Fname'],
  ['/a%2f.b', '/a%2F.b'],
  ['/a\\b', '/a\\b'],
  ['/a;v=1/b', '/a;v=1/b'],
  ['/a..;/b', '/a..;/b'],
  ['', undefined],
  ['*', undefined],
  ['a/b', undefined],
  ['/..', undefined],
  ['/../a', undefined],
  ['/a/../../b', undefined],
  ['/%2e%2e', undefined],
  ['/a%2f..%2fb', undefined],
  ['/a%2f..', undefined],
  ['/..%2fb', undefined],
  ['/a/..\\b', undefined],
  ['/a\\..\\b', undefined],
  ['/a%5c%2e%2e%5Cb', undefined],
  ['/a/..;/b', undefined],
  ['/a/..;x=1/b', undefined],
  ['/a/.;/b', undefined],
  ['/a/..%3b/b', undefined],
  ['/a%2f..;x%2fb', undefined],
  ['/100%', undefined],
  ['/%4', undefined],
  ['/%zz', undefined],
  ['/%%32e%%32e/a', undefined],
  ['/a%00', undefined],
];
for (const [sent, normal] of pairs) {
  test(`the path ${sent} is ${normal === undefined ? 'refused' : `matched as ${normal}`}`, () => {
    assert.equal(normalizedPath(sent), normal);
  });
}

test('a path in normal form is given back as the same string', () => {
  const path = '/a/b.c/d';
  assert.ok(Object.is(normalizedPath(path), path));
});

const token = fc.constantFrom(
  ...[
    '/',
    '/',
    '.',
    '..',
    '%2e',
    '%2F',
    '%5c',
    '\\',
    ';',
    '%3b',
    'a',
    '%61',
    '%',
    '%25',
    '2e',
    '%00',
  ],
);
const hostilePath = fc.array(token, { maxLength: 14 }).map((parts) => `/${parts.join('')}`);

function unescaped(path: string): string {
  return path.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

test('a normal form is its own normal form and holds no dot segment by any reading', () => {
  fc.assert(
    fc.property(hostilePath, (path) => {
      const normal = normalizedPath(path);
      if (normal === undefined) return;
      assert.equal(normalizedPath(normal), normal);
      // The most generous origin: decodes once, takes \ for /, cuts path parameters.
      const read = unescaped(normal).replaceAll('\\', '/');
      for (const segment of read.split('/')) {
        assert.doesNotMatch(segment.split(';')[0]!, /^\.{1,2}$/, `${path} → ${normal}`);
      }
    }),
    { numRuns: 20_000 },
  );
});

test('agrees with the URL parser of the platform wherever both accept', () => {
  const tame = fc.array(fc.constantFrom('/', '.', '..', '%2e', 'a', 'b.c'), { maxLength: 14 });
  fc.assert(
    fc.property(tame, (parts) => {
      const path = `/${parts.join('')}`;
      const normal = normalizedPath(path);
      if (normal === undefined || path.startsWith('//')) return;
      // URL leaves %2e inside longer segments alone; RFC 3986 6.2.2.2 makes them dots.
      const expected = new URL(`http://h${path}`).pathname.replaceAll('%2e', '.');
      assert.equal(normal, expected, path);
    }),
    { numRuns: 5_000 },
  );
});

test('merging slashes leaves no empty segment but the ends', () => {
  assert.equal(mergedSlashes('//a///b//'), '/a/b/');
  assert.equal(mergedSlashes('/a/b'), '/a/b');
});
