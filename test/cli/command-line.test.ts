import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { holdfast } from '../supervisor/node-under-test.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const good = file('good.yaml', 'listen: ["127.0.0.1:0"]\nsites: {"*": "127.0.0.1:9"}\n');

const reference = readFileSync(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8');

test('help and version are no failures, and every command shows an example', async () => {
  const version = await holdfast(['--version']);
  const { version: expected } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  assert.deepEqual([version.code, version.stdout], [0, `${expected}\n`]);
  for (const command of ['run', 'validate', 'reload', 'status', 'schema']) {
    const help = await holdfast([command, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Examples:\n {2}holdfast/, command);
    for (const [, flag = ''] of help.stdout.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)) {
      if (flag !== '--help') assert.ok(reference.includes(flag), `docs/reference/cli.md: ${flag}`);
    }
  }
});

test('a command line that cannot be understood exits 2 and says what was meant', async () => {
  const unknown = await holdfast(['run', '--lisen', ':80']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /unknown option '--lisen'\n\(Did you mean --listen\?\)/);
  assert.equal((await holdfast(['fly'])).code, 2);
  assert.equal((await holdfast([])).code, 2);
});

test('a wrong value of a flag or variable names it and exits 2', async () => {
  const flag = await holdfast(['run', '--to', 'h:1', '--listen', 'nope', '--workers', 'many']);
  assert.equal(flag.code, 2);
  assert.match(flag.stderr, /^--listen: "nope" has no port: write nope:PORT$/m);
  assert.match(flag.stderr, /^--workers: expected a number, got "many"$/m);
  const variable = await holdfast(['run'], { HOLDFAST_TO: 'http://h/path', HOLDFAST_WORKERS: '0' });
  assert.equal(variable.code, 2);
  assert.match(variable.stderr, /^HOLDFAST_TO: "http:\/\/h\/path" is not an origin/m);
  assert.match(variable.stderr, /^HOLDFAST_WORKERS: 0 is too small: the least is 1$/m);
});

test('a valid file exits 0, an invalid one 3 with every error', async () => {
  const valid = await holdfast(['validate', good]);
  assert.deepEqual([valid.code, valid.stdout], [0, `${good} is valid\n`]);
  const bad = file('bad.yaml', 'lisen: [":80"]\nsites:\n  a: {routes: {/x*y: "h:1"}}\n  b: 5\n');
  const invalid = await holdfast(['validate', bad]);
  assert.equal(invalid.code, 3);
  assert.match(invalid.stderr, /bad\.yaml:1:1: unknown key "lisen", did you mean "listen"\?/);
  assert.match(invalid.stderr, /bad\.yaml:4:6: sites\.b: expected a map/);
  assert.match(invalid.stderr, /the configuration is invalid \(2 errors\)/);
  const json = await holdfast(['validate', '--json', bad]);
  assert.equal(json.code, 3);
  const result = JSON.parse(json.stdout) as { valid: boolean; errors: { line: number }[] };
  assert.deepEqual([result.valid, result.errors.map(({ line }) => line)], [false, [1, 4]]);
  assert.equal((await holdfast(['validate', join(directory, 'none.yaml')])).code, 3);
});

test('a route pattern that the router refuses is an error of the file, with its line', async () => {
  const bad = file(
    'pattern.yaml',
    'listen: [":80"]\nsites:\n  a:\n    routes:\n      /x*y: h:1\n  A: h:1\n',
  );
  const invalid = await holdfast(['validate', bad]);
  assert.equal(invalid.code, 3);
  assert.match(invalid.stderr, /pattern\.yaml:5:13: sites\.a\.routes\["\/x\*y"\]: /);
});

test('warnings alone do not fail', async () => {
  const doubtful = file('doubtful.yaml', 'listen: [":80"]\nadmin: ":2019"\nsites: {"*": "h:1"}\n');
  const result = await holdfast(['validate', doubtful]);
  assert.equal(result.code, 0);
  assert.match(result.stderr, /^warning: .*doubtful\.yaml:2:8: admin: is reachable/m);
});

test('nothing to serve is a question of usage', async () => {
  const result = await holdfast(['run', '--listen', ':8080'], { HOLDFAST_ADMIN: 'off' });
  assert.equal(result.code, 2);
  assert.match(result.stderr, /give --config FILE or --to ORIGIN/);
});

test('a node that does not answer exits 4 and says what to check', async () => {
  for (const command of ['status', 'reload']) {
    const result = await holdfast([command, '--admin', '127.0.0.1:1']);
    assert.equal(result.code, 4);
    assert.match(
      result.stderr,
      /no node answers at 127\.0\.0\.1:1: is "holdfast run" or "holdfast agent" running/,
    );
  }
  const other = createServer((_, reply) => reply.end('<html>')).listen(0, '127.0.0.1');
  after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const stranger = await holdfast(['status'], { HOLDFAST_ADMIN: `127.0.0.1:${port}` });
  assert.equal(stranger.code, 4);
  assert.match(stranger.stderr, /is not holdfast/);
});

test('the admin address is found in a file that is wrong everywhere else', async () => {
  const broken = file('broken.yaml', 'admin: 127.0.0.1:1\nsites: 5\n');
  const result = await holdfast(['reload', '--config', broken]);
  assert.equal(result.code, 4);
  assert.match(result.stderr, /127\.0\.0\.1:1/);
  const off = file('off.yaml', 'admin: off\n');
  assert.equal((await holdfast(['status', '--config', off])).code, 2);
});

test('the schema is printed for editors and for people', async () => {
  const json = await holdfast(['schema']);
  assert.equal((JSON.parse(json.stdout) as { type: string }).type, 'object');
  assert.match((await holdfast(['schema', '--markdown'])).stdout, /^# Configuration reference\n/);
});
