import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hostWithoutPort, Router } from '../../src/edge/router.ts';
import { HoldfastError } from '../../src/errors.ts';

/** One site for any host; each value is its own pattern. */
function routerOf(...patterns: string[]): Router<string> {
  return new Router({ '*': Object.fromEntries(patterns.map((pattern) => [pattern, pattern])) });
}

test('an exact path matches itself alone', () => {
  const router = routerOf('/healthz');
  assert.equal(router.match('h', '/healthz'), '/healthz');
  assert.equal(router.match('h', '/healthz/'), undefined);
  assert.equal(router.match('h', '/health'), undefined);
  assert.equal(router.match('h', '/'), undefined);
});

test('a prefix matches itself, its directory and all below, but no longer name', () => {
  const router = routerOf('/api/*');
  for (const path of ['/api', '/api/', '/api/x', '/api/x/y']) {
    assert.equal(router.match('h', path), '/api/*', path);
  }
  for (const path of ['/', '/apix', '/ap', '/x/api']) {
    assert.equal(router.match('h', path), undefined, path);
  }
});

test('/* matches everything', () => {
  const router = routerOf('/*', '/a/*');
  for (const path of ['/', '/b', '/b/c']) assert.equal(router.match('h', path), '/*', path);
  assert.equal(routerOf('/*').match('h', '/b'), '/*');
});

test('a star within a path stands for exactly one segment', () => {
  const router = routerOf('/users/*/avatar', '/users/*/files/*');
  assert.equal(router.match('h', '/users/7/avatar'), '/users/*/avatar');
  assert.equal(router.match('h', '/users/7/files'), '/users/*/files/*');
  assert.equal(router.match('h', '/users/7/files/a/b'), '/users/*/files/*');
  assert.equal(router.match('h', '/users//avatar'), undefined);
  assert.equal(router.match('h', '/users/7/8/avatar'), undefined);
  assert.equal(router.match('h', '/users/7/avatar/'), undefined);
});

test('the most exact pattern wins whatever the order in the file', () => {
  const patterns = ['/*', '/a/*', '/a/b', '/a/b/*', '/a/*/c', '/a/*/c/*', '/*/b/*'];
  const expected: [path: string, pattern: string][] = [
    ['/a/b', '/a/b'],
    ['/a/b/c', '/a/b/*'],
    ['/a/x/c', '/a/*/c'],
    ['/a/x/c/', '/a/*/c/*'],
    ['/a/x/d', '/a/*'],
    ['/z/b', '/*/b/*'],
    ['/z', '/*'],
  ];
  for (const router of [routerOf(...patterns), routerOf(...patterns.toReversed())]) {
    for (const [path, pattern] of expected) assert.equal(router.match('h', path), pattern, path);
  }
});

test('empty segments are skipped, so that //admin cannot slip past /admin', () => {
  const router = routerOf('/*', '/admin/*', '/healthz');
  assert.equal(router.match('h', '//admin/x'), '/admin/*');
  assert.equal(router.match('h', '/admin//x'), '/admin/*');
  assert.equal(router.match('h', '//healthz'), '/healthz');
});

test('exact host, then the longest wildcard, then any', () => {
  const router = new Router<string>({
    '*': { '/*': 'any' },
    '*.example.com': { '/*': 'wide' },
    '*.b.example.com': { '/*': 'narrow' },
    'App.Example.com': { '/*': 'exact' },
  });
  assert.equal(router.match('app.example.com', '/'), 'exact');
  assert.equal(router.match('x.example.com', '/'), 'wide');
  assert.equal(router.match('x.y.example.com', '/'), 'wide');
  assert.equal(router.match('x.b.example.com', '/'), 'narrow');
  assert.equal(router.match('x.app.example.com', '/'), 'wide');
  assert.equal(router.match('example.com', '/'), 'any');
  assert.equal(router.match('.example.com', '/'), 'any');
  assert.equal(router.matchSite('app.example.com'), 'App.Example.com');
  assert.equal(router.matchSite('q.b.example.com'), '*.b.example.com');
});

test('a host without a site has no route', () => {
  const router = new Router<string>({ 'a.example': { '/*': 'a' } });
  assert.equal(router.match('b.example', '/'), undefined);
  assert.equal(router.matchSite('b.example'), undefined);
});

test('a path that its own site lacks is not served by another site', () => {
  const router = new Router<string>({ '*': { '/*': 'any' }, 'a.example': { '/x': 'x' } });
  assert.equal(router.match('a.example', '/y'), undefined);
});

test('IPv6 sites are found with and without brackets in the file', () => {
  const router = new Router<string>({
    '[2001:DB8::1]': { '/*': 'a' },
    '2001:db8::2': { '/*': 'b' },
  });
  assert.equal(router.match(hostWithoutPort('[2001:db8::1]:8080'), '/'), 'a');
  assert.equal(router.match(hostWithoutPort('[2001:db8::2]'), '/'), 'b');
});

test('a host loses its port, its case and its last dot', () => {
  const pairs: [string, string][] = [
    ['app.example.com', 'app.example.com'],
    ['App.Example.COM:8080', 'app.example.com'],
    ['app.example.com.', 'app.example.com'],
    ['app.example.com.:80', 'app.example.com'],
    ['a:', 'a'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['[::1]', '::1'],
    ['[::1', '[::1'],
    ['.', '.'],
    ['', ''],
  ];
  for (const [header, host] of pairs) assert.equal(hostWithoutPort(header), host, header);
});

test('patterns that cannot be meant are refused with a mend', () => {
  const wrong: [host: string, path: string, text: RegExp][] = [
    ['*', 'api', /begins with/],
    ['*', '/a?b', /no query/],
    ['*', '/a b', /white space/],
    ['*', '/a//b', /empty segments/],
    ['*', '/a/../b', /write "\/b"/],
    ['*', '/%61', /write "\/a"/],
    ['*', '/../b', /no request/],
    ['*', '/a*', /whole segment/],
    ['*', '/*.png', /whole segment/],
    ['a.*.com', '/*', /star/],
    ['**', '/*', /star/],
    ['*example.com', '/*', /star/],
    ['', '/*', /host name/],
    ['*.', '/*', /host name/],
    ['a/b', '/*', /host name/],
    ['a.example:80', '/*', /port/],
    ['[::1]:80', '/*', /port/],
  ];
  for (const [host, path, text] of wrong) {
    assert.throws(
      () => new Router({ [host]: { [path]: 1 } }),
      (error) =>
        error instanceof HoldfastError &&
        error.code === 'ERR_ROUTE_PATTERN' &&
        text.test(error.message),
      `${host} ${path}`,
    );
  }
});

test('two spellings of one host are refused', () => {
  assert.throws(() => new Router({ 'A.example': {}, 'a.example.': {} }), /are the same/);
});

test('a host of ten thousand labels costs nothing', () => {
  const router = new Router<string>({ '*.example.com': { '/*': 'a' }, '*': { '/*': 'any' } });
  assert.equal(router.match(`${'a.'.repeat(10_000)}example.com`, '/'), 'any');
});

/** The documented order, written as naively as possible. */
function reference(patterns: readonly string[], path: string): string | undefined {
  const matching = patterns.filter((pattern) => {
    const source = pattern.replace(/\/\*$/, '(?:/.*)?').replace(/\/\*(?=\/|\(|$)/g, '/[^/]+');
    return new RegExp(`^${source}$`).test(path);
  });
  const rank = (pattern: string) => {
    if (!pattern.includes('*')) return '0';
    const segments = pattern.slice(1).split('/');
    const ranks = segments.map((segment, index) => {
      if (segment !== '*') return '1';
      return index === segments.length - 1 ? '3' : '2';
    });
    return ranks.join('');
  };
  return matching.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
}

test('agrees with the documented order spelled out naively', () => {
  const segment = fc.constantFrom('a', 'b', '*');
  const pattern = fc
    .array(segment, { minLength: 1, maxLength: 4 })
    .map((segments) => `/${segments.join('/')}`);
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c'), { maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`);
  fc.assert(
    fc.property(fc.uniqueArray(pattern, { maxLength: 8 }), path, (patterns, wanted) => {
      assert.equal(routerOf(...patterns).match('h', wanted), reference(patterns, wanted));
    }),
    { numRuns: 10_000 },
  );
});
