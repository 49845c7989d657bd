import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { defineConfig } from '../../src/config/define.ts';
import { parseConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import type { ConfigInput } from '../../src/config/schema.ts';
import { makePair, withoutOpenssl } from './pem.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-checks-'));
after(() => rmSync(directory, { recursive: true }));

const site = { '*': '127.0.0.1:3000' };

/** Error lines of a configuration, or of none. */
function errorsOf(input: ConfigInput): string {
  try {
    defineConfig(input, { baseDir: directory });
    return '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message;
  }
}

function warningsOf(text: string, nowMs = Date.now()): string[] {
  const { warnings } = parseConfig(text, join(directory, 'h.yaml'), { env: {}, nowMs });
  return warnings.map(({ line, path, message }) => `${line}: ${path}: ${message}`);
}

test('a configuration without listeners says what to add', () => {
  assert.match(errorsOf({ sites: site }), /nothing to listen on: add "listen"/);
  assert.equal(errorsOf({ vips: ['192.0.2.10:80'], sites: site }), '');
});

test('addresses that the kernel would refuse to bind together are found before', () => {
  const twice = (...listen: string[]) => errorsOf({ listen, admin: 'off', sites: site });
  assert.match(twice(':80', ':80'), /listen\[1\]: http:\/\/:80 is listed twice/);
  assert.match(twice(':80', '127.0.0.1:80'), /already covered by http:\/\/:80/);
  assert.match(twice('127.0.0.1:80', '0.0.0.0:80'), /already covered/);
  assert.match(twice('[::1]:80', '[0::1]:80'), /already covered/);
  assert.match(twice('[::1]:80', ':80'), /already covered/);
  assert.equal(twice('127.0.0.1:80', '[::1]:80'), '');
  assert.equal(twice('0.0.0.0:80', '[::1]:80'), '');
  assert.equal(twice(':0', ':0'), '');
  assert.match(
    errorsOf({ vips: [':80'], listen: [':80'], sites: site }),
    /listen\[0\]: .* is listed twice/,
  );
});

test('the admin address may not be that of a listener, nor https', () => {
  assert.match(
    errorsOf({ listen: [':2019'], sites: site }),
    /^admin: is the same address as http:\/\/:2019: choose another port$/,
  );
  assert.match(
    errorsOf({ listen: [':80'], admin: 'https://127.0.0.1:2019', sites: site }),
    /^admin: speaks plain http/,
  );
});

test('an https listener needs a certificate somewhere', () => {
  assert.match(
    errorsOf({ listen: ['127.0.0.1:443'], sites: site }),
    /https:\/\/127\.0\.0\.1:443 needs a certificate: .* or write http:\/\/127\.0\.0\.1:443/,
  );
});

test('one origin twice, or one id for two origins, is refused', () => {
  const routes = (...to: (string | { url: string; id: string })[]) =>
    errorsOf({ listen: [':80'], sites: { a: { routes: { '/*': { to } } } } });
  assert.match(routes('h:1', 'http://h:1'), /to\[1\]: http:\/\/h:1 is listed twice/);
  assert.match(
    routes({ url: 'h:1', id: 'x' }, { url: 'h:2', id: 'x' }),
    /to\[1\]: the id "x" is already that of http:\/\/h:1/,
  );
});

test('values that are right but doubtful are warnings with their lines', () => {
  assert.deepEqual(warningsOf('listen: [":80"]\nsites: {}\n'), [
    '2: sites: is empty: every request will be answered 404',
  ]);
  assert.match(
    warningsOf('listen: [":80"]\nadmin: ":2019"\nsites: {"*": "h:1"}\n').join(),
    /^2: admin: is reachable from other machines/,
  );
  assert.match(
    warningsOf(
      'listen: [":80"]\ndrain: {deadlineMs: 1, tunnelSpreadMs: 2}\nsites: {"*": "h:1"}\n',
    ).join(),
    /^2: drain\.tunnelSpreadMs: is longer than deadlineMs/,
  );
  assert.match(
    warningsOf(
      'listen: [":80"]\nsites: {a: {redirectToHttps: true, routes: {/*: "h:1"}}}\n',
    ).join(),
    /redirectToHttps: sends clients to https, but the site has no "tls"/,
  );
});

test('a check of another room is asked, and its findings have lines', () => {
  const check = () => [{ path: ['sites', 'a', 'routes', '/x'], message: 'no', warning: false }];
  assert.throws(
    () =>
      parseConfig('listen: [":80"]\nsites:\n  a:\n    routes:\n      /x: h:1\n', 'h.yaml', {
        check,
      }),
    { message: 'h.yaml:5:11: sites.a.routes["/x"]: no' },
  );
});

test('named certificates become PEM texts', { skip: withoutOpenssl }, () => {
  const pair = makePair(directory, 'good', ['a.example', '*.b.example']);
  const config = defineConfig(
    {
      listen: ['https://127.0.0.1:8443'],
      sites: {
        'a.example': { tls: { cert: 'good.pem', key: 'good.key' }, routes: { '/*': 'h:1' } },
        '*.b.example': { tls: { cert: pair.cert, key: pair.key }, routes: { '/*': 'h:1' } },
      },
    },
    { baseDir: directory },
  );
  for (const host of ['a.example', '*.b.example']) {
    assert.deepEqual(config.sites[host]?.tls, [{ cert: pair.cert, key: pair.key }]);
  }
});

test('every way in which a pair can be wrong is named', { skip: withoutOpenssl }, () => {
  const one = makePair(directory, 'one', ['a.example']);
  const two = makePair(directory, 'two', ['a.example']);
  writeFileSync(join(directory, 'text.pem'), 'hello');
  const broken = one.cert.replace(/\n[^\n]+\n/, '\n');
  const errors = (cert: string, key: string) =>
    errorsOf({
      listen: ['https://127.0.0.1:8443'],
      sites: { 'a.example': { tls: { cert, key }, routes: { '/*': 'h:1' } } },
    });
  assert.equal(errors('one.pem', 'one.key'), '');
  assert.match(errors('one.pem', 'two.key'), /tls\[0\]\.key: does not belong to the certificate/);
  assert.match(
    errors('none.pem', 'none.key'),
    /none\.pem does not exist\n.*none\.key does not exist/,
  );
  assert.match(errors('text.pem', 'one.key'), /text\.pem is not a PEM file/);
  assert.match(errors('one.key', 'one.key'), /it holds a private key/);
  assert.match(errors('one.pem', 'one.pem'), /key: holds no private key/);
  assert.match(
    errors('one.pem', one.key.replace('BEGIN', 'BEGUN')),
    /^[^\n]*tls\[0\]\.key: is neither a file name nor PEM text[^\n]*$/,
  );
  assert.match(errors(broken, two.key), /cert: holds no certificate that can be read/);
});

test('certificates that clients will refuse are warnings', { skip: withoutOpenssl }, () => {
  makePair(directory, 'dated', ['a.example'], 30);
  const text = `listen: ["https://127.0.0.1:8443"]
sites:
  a.example: {tls: {cert: dated.pem, key: dated.key}, routes: {/*: "h:1"}}
`;
  const dayMs = 86_400_000;
  assert.deepEqual(warningsOf(text), []);
  assert.match(warningsOf(text, Date.now() + 31 * dayMs).join(), /^3: .*tls\.cert: expired on /);
  assert.match(warningsOf(text, Date.now() + 20 * dayMs).join(), /expires in 9 days/);
  assert.match(warningsOf(text, Date.now() - 2 * dayMs).join(), /is not valid before/);
  assert.match(
    warningsOf(text.replace('a.example', 'b.example')).join(),
    /cert: is not for b\.example, but for DNS:a\.example/,
  );
});

test('nodes of a mesh must be reached by one kind of IP address', () => {
  const healing = (listen: string, join: string[]): ConfigInput => ({
    node: 'a',
    vips: ['192.0.2.10:80'],
    mesh: { listen, join, keys: '00'.repeat(32) },
    datapath: { uplink: 'eth0', underlay: listen.replace(/:\d+$/, '').replace(/[[\]]/g, '') },
    sites: site,
  });
  assert.equal(errorsOf(healing('198.51.100.1:7946', ['198.51.100.2:7946'])), '');
  assert.match(
    errorsOf(healing('198.51.100.1:7946', ['198.51.100.2:7946', '[2001:db8::2]:7946'])),
    /mesh\.join\[1\]: must be an IPv4 address, as mesh\.listen is: all nodes of a mesh use one kind/,
  );
  assert.match(
    errorsOf(healing('[2001:db8::1]:7946', ['198.51.100.2:7946'])),
    /mesh\.join\[0\]: must be an IPv6 address/,
  );
});
