import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type LoadOptions, loadConfig, parseConfig } from '../../src/config/load.ts';
import { ConfigError, formatProblem } from '../../src/config/problem.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
after(() => rmSync(directory, { recursive: true }));

const options: LoadOptions = { env: {}, nowMs: Date.UTC(2026, 0, 1) };
const parse = (text: string, more: LoadOptions = {}) =>
  parseConfig(text, join(directory, 'h.yaml'), { ...options, ...more });

/** The error lines of a text, with `h.yaml` for the file. */
function errorsOf(text: string, more: LoadOptions = {}): string[] {
  try {
    parse(text, more);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, 'ERR_CONFIG');
    return error.problems.map((problem) => formatProblem(problem).replace(`${directory}/`, ''));
  }
  assert.fail('the text was accepted');
}

const minimal = 'listen: [":8080"]\nsites: {"*": "127.0.0.1:3000"}\n';

test('a minimal file becomes a complete configuration', () => {
  const { config, warnings, file } = parse(minimal);
  assert.deepEqual(warnings, []);
  assert.equal(file, join(directory, 'h.yaml'));
  assert.equal(config.listen[0]?.port, 8080);
  assert.ok((config.workers ?? 0) >= 1);
  assert.ok(config.node);
  assert.equal(config.pop, config.node);
  assert.equal(config.sites['*']?.routes['/*']?.to?.[0]?.url, 'http://127.0.0.1:3000');
});

test('every error of a file is reported at once, each with its line and a mend', () => {
  const text = `listen: [":80a", {at: ":1", x: 1}]
nod: 1
workers: "2"
accessLog: {fle: x}
sites:
  a:
    routes:
      /: {to: [], balance: round-robbin, health: {pth: 1}}
      q: h:1
      /c: [h]
  b: {tls: {cert: x}, routes: {/*: "h:1"}}
`;
  assert.deepEqual(errorsOf(text), [
    'h.yaml:1:10: listen[0]: ":80a" is not an address: write HOST:PORT or [IPV6]:PORT',
    'h.yaml:1:29: listen[1]: unknown key "x", known keys are at, proxyProtocolFrom',
    'h.yaml:2:1: unknown key "nod", did you mean "node"?',
    'h.yaml:3:10: workers: expected a number, got "2"',
    'h.yaml:4:12: accessLog.file: is missing: a text is needed',
    'h.yaml:4:13: accessLog: unknown key "fle", did you mean "file"?',
    'h.yaml:8:15: sites.a.routes["/"].to: needs at least one entry',
    'h.yaml:8:28: sites.a.routes["/"].balance: "round-robbin" does not fit: did you mean "round-robin"? Or write round-robin, least-connections, hash-client, {hashHeader: …} or {hashCookie: …}',
    'h.yaml:8:50: sites.a.routes["/"].health.path: is missing: a text is needed',
    'h.yaml:8:51: sites.a.routes["/"].health: unknown key "pth", did you mean "path"?',
    'h.yaml:9:7: sites.a.routes: "q" must start with "/"',
    'h.yaml:10:12: sites.a.routes["/c"][0]: "h" has no port: write h:PORT',
    'h.yaml:11:12: sites.b.tls.key: is missing: a text is needed',
  ]);
});

test('a key written twice is refused', () => {
  assert.deepEqual(errorsOf('listen: [":80"]\nsites: {}\nlisten: [":81"]\n'), [
    'h.yaml:3:1: this key is already written above: keep one of them',
  ]);
});

test('a star without quotes is explained', () => {
  assert.match(errorsOf('sites:\n  *: "h:1"\n')[0] ?? '', /^h\.yaml:2:\d+: .*needs quotes/);
  assert.match(errorsOf('sites: *all\n')[0] ?? '', /needs quotes/);
});

test('a file that is not a map says what it should be', () => {
  assert.deepEqual(errorsOf(''), [
    'h.yaml:1:1: expected a map of keys and values, got nothing (null)',
  ]);
  assert.deepEqual(errorsOf('- a\n'), [
    'h.yaml:1:1: expected a map of keys and values, got a list',
  ]);
});

test('a text that doubles with every anchor is refused before it grows', () => {
  let text = 'a0: &a0 [x, x]\n';
  for (let i = 1; i < 40; i++) text += `a${i}: &a${i} [*a${i - 1}, *a${i - 1}]\n`;
  assert.match(errorsOf(text).join(), /more than 1000 uses of anchors/);
});

test('a text nested without end is refused', () => {
  assert.deepEqual(errorsOf('['.repeat(200_000)), ['h.yaml:1:1: is nested too deeply']);
});

test('the key __proto__ is refused and reaches no prototype', () => {
  assert.match(errorsOf(`${minimal}__proto__: {polluted: 1}\n`)[0] ?? '', /:3:1: .*__proto__/);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('expressions are filled in from the environment and from files beside the configuration', () => {
  writeFileSync(join(directory, 'name.txt'), 'from-file\n');
  const text = [
    'node: $' + '{file:name.txt}',
    'workers: $' + '{WORKERS}',
    'listen: [":$' + '{PORT:-8080}"]',
    'sites: {"*": "$' + '{ORIGIN}:3000"}',
  ].join('\n');
  const { config, secrets } = parse(text, { env: { WORKERS: '3', ORIGIN: '127.0.0.9' } });
  assert.equal(config.node, 'from-file');
  assert.equal(config.workers, 3);
  assert.equal(config.listen[0]?.port, 8080);
  assert.equal(config.sites['*']?.routes['/*']?.to?.[0]?.host, '127.0.0.9');
  assert.deepEqual(secrets, ['from-file']);
});

test('an expression in quotes stays a text', () => {
  const text = `workers: "\${WORKERS}"\n${minimal}`;
  assert.deepEqual(errorsOf(text, { env: { WORKERS: '3' } }), [
    'h.yaml:1:10: workers: expected a number, got "3"',
  ]);
});

test('a missing variable is named with the path of the value', () => {
  assert.deepEqual(errorsOf(`node: \${NODE_NAME}\n${minimal}`), [
    'h.yaml:1:7: node: the environment variable NODE_NAME is not set: set it, or write $' +
      '{NODE_NAME:-default}',
  ]);
});

test('a flag wins over the file, and its errors name the flag', () => {
  const override = { key: 'listen', value: [':9090'], from: '--listen' } as const;
  assert.equal(parse(minimal, { overrides: [override] }).config.listen[0]?.port, 9090);
  assert.deepEqual(errorsOf(minimal, { overrides: [{ ...override, value: ['nope'] }] }), [
    '--listen: "nope" has no port: write nope:PORT',
  ]);
});

test('flags alone are a configuration', () => {
  const { config, file } = loadConfig(undefined, {
    ...options,
    overrides: [
      { key: 'listen', value: [':8080'], from: '--listen' },
      { key: 'sites', value: { '*': ['http://127.0.0.1:3000'] }, from: '--to' },
    ],
  });
  assert.equal(file, undefined);
  assert.equal(config.sites['*']?.routes['/*']?.to?.length, 1);
});

test('an error shows no value that came from a file', () => {
  writeFileSync(
    join(directory, 'secret.txt'),
    'correct horse battery staple, thirteen times over and more\n',
  );
  const errors = errorsOf(
    `node: "\${file:secret.txt}"\nworkers: "\${file:secret.txt}"\nvips: ["\${file:secret.txt}"]\n${minimal}`,
  );
  assert.equal(errors.length, 3);
  assert.doesNotMatch(errors.join(), /correct|horse/);
  assert.match(errors.join(), /\(hidden\)/);
});

test('a file that cannot be read says why', () => {
  const missing = join(directory, 'missing.yaml');
  assert.throws(() => loadConfig(missing, options), { message: `${missing}: does not exist` });
  assert.throws(() => loadConfig(directory, options), { message: `${directory}: is a directory` });
  const large = join(directory, 'large.yaml');
  writeFileSync(large, '#'.repeat(1_048_577));
  assert.throws(() => loadConfig(large, options), /is larger than 1048576 bytes/);
  const binary = join(directory, 'binary.yaml');
  writeFileSync(binary, Buffer.from([0xff, 0xfe, 0xfd]));
  assert.throws(() => loadConfig(binary, options), /is not UTF-8 text/);
});

test('an access log beside the configuration is found whatever the working directory', () => {
  const { config } = parse(`${minimal}accessLog: {file: access.log}\n`);
  assert.deepEqual(config.accessLog, { file: join(directory, 'access.log') });
});

test('no text makes the loader throw anything but a configuration error', () => {
  const word = fc.constantFrom(
    ...[
      'listen',
      'sites',
      'routes',
      'to',
      'tls',
      ':',
      ': ',
      '- ',
      '\n',
      '\n  ',
      '{',
      '}',
      '[',
      ']',
    ],
    ...['"', "'", '*', '&a ', '*a', '|\n', '#', '? ', '!!int ', '$', ',', '":80"', '/*', '1', '\t'],
  );
  const text = fc.oneof(
    fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  );
  fc.assert(
    fc.property(text, (each) => {
      try {
        parse(each);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        assert.ok(error.problems.length > 0);
      }
    }),
    { numRuns: 2_000 },
  );
});
