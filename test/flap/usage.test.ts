/** What `bench flap` answers before anything is built; needs no root. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { holdfast } from '../lab/command-line.ts';

const SAMPLE = fileURLToPath(new URL('sample.json', import.meta.url));

const WRONG: readonly [what: string, args: string[], said: RegExp][] = [
  ['an unknown scenario', ['--scenario', 'flip-flop'], /no scenario "flip-flop"/],
  ['an unknown server', ['--server', 'apache'], /no server "apache"/],
  ['a suite and scenarios', ['--suite', 'quick', '--scenario', 'pmtu'], /cannot be used with/],
  ['an IP version', ['--family', '5'], /It must be 4, 6 or 4,6/],
  ['a placeholder', ['--server-command', 'x {port} {prot}'], /\{prot\} stands for nothing/],
  ['a hook in the lab', ['--on-event', 'true'], /--on-event needs --target/],
  ['a target with a path', ['--target', 'http://127.0.0.1/x'], /without a path/],
  [
    'a target and a server',
    ['--target', 'http://127.0.0.1:1', '--server', 'nginx'],
    /leave out --server/,
  ],
  ['a comparison with nothing', ['--compare', '/nonexistent.json'], /--compare: .* does not exist/],
  ['a comparison of other seeds', ['--compare', SAMPLE, '--seed', '8'], /with --seed 1, this one/],
  [
    'a comparison of other IP versions',
    ['--compare', SAMPLE, '--family', '6'],
    /has --family 4, this one would have 6/,
  ],
  ['a comparison of other servers', ['--compare', SAMPLE, '--server', 'caddy'], /none of these/],
  [
    'a report where there is no directory',
    ['--json', '/nowhere/x.json'],
    /--json: the directory \/nowh/,
  ],
  ['a table in place of a directory', ['--csv', tmpdir()], /--csv: .* is a directory/],
  ['the same scenario twice', ['--scenario', 'pmtu,pmtu'], /two scenarios are named "pmtu"/],
];

for (const [what, args, said] of WRONG) {
  test(`${what}: a wrong call ends with code 2 before anything is built`, async () => {
    const { code, stderr } = await holdfast('bench', 'flap', ...args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, said);
  });
}

test('a scenario file that is wrong ends with code 3 and names the place', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-usage-'));
  try {
    const file = join(directory, 'x.yaml');
    writeFileSync(file, 'name: x\nabout: y\ndurationMs: 1000\ncleints: {}\n');
    for (const call of [
      ['bench', 'flap', '--scenario', file],
      ['lab', 'run', file],
    ]) {
      const { code, stderr } = await holdfast(...call);
      assert.equal(code, 3, stderr);
      assert.match(stderr, /x\.yaml:4:1: unknown key "cleints", did you mean "clients"\?/);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
