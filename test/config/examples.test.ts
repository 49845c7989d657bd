/** What the examples show must work. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../../src/agent/agent-node.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { loadNodeConfig } from '../../src/node.ts';
import { makePair, withoutOpenssl } from './pem.ts';

const examples = fileURLToPath(new URL('../../examples/', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'holdfast-examples-'));
after(() => rmSync(directory, { recursive: true }));

test('every example file is valid, without a warning', { skip: withoutOpenssl }, () => {
  makePair(directory, 'app', ['app.example.com']);
  makePair(directory, 'wildcard', ['*.example.com']);
  writeFileSync(join(directory, 'mesh.key'), `${randomBytes(32).toString('base64')}\n`);
  const files = readdirSync(examples).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 3);
  for (const name of files) {
    const file = join(directory, name);
    copyFileSync(join(examples, name), file);
    const isAgent = name.startsWith('agent');
    const { warnings } = isAgent ? loadAgentConfig(file) : loadNodeConfig({ file, overrides: [] });
    assert.deepEqual(warnings.map(formatProblem), [], name);
  }
});

test('the library example runs and answers through the edge', () => {
  const run = spawnSync(process.execPath, [join(examples, 'library.ts')], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /^200 the origin got \/hello for 127\.0\.0\.1$/m);
  assert.match(run.stdout, /"target":"\/hello".*"status":200/);
});

test('the mesh example shares a session and hands it over', () => {
  const run = spawnSync(process.execPath, [join(examples, 'mesh.ts')], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /^b reads "three pears" of a$/m);
  assert.match(run.stdout, /^a lost cart-17$/m);
  assert.match(run.stdout, /^a reads "four pears"$/m);
});
