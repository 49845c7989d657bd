import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scratchDirectory } from '../../bench/datapath/namespace.ts';
import { OBJECT_PATH } from '../../src/datapath/kernel-object.ts';
import { elfSections } from './btf.ts';

const BUILD = fileURLToPath(new URL('../../src/datapath/bpf/build.sh', import.meta.url));
/** What runs in the kernel, how it is relocated, and what its maps are. */
const PROGRAM_SECTIONS = ['.text', 'tc', 'tp_btf/inet_sock_set_state', 'license', '.maps'];

function clangVersion(): string | undefined {
  const result = spawnSync('clang', ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.match(/version ([\d.]+)/)?.[1] : undefined;
}

const committed = elfSections(readFileSync(OBJECT_PATH));
const built = committed.get('built')!.toString('latin1');
const version = clangVersion();

test('the committed object was made from the sources beside it', () => {
  const hash = createHash('sha256');
  const directory = dirname(BUILD);
  const names = readdirSync(directory).sort();
  for (const suffix of ['.c', '.h']) {
    for (const name of names) {
      if (name.endsWith(suffix)) hash.update(readFileSync(join(directory, name)));
    }
  }
  assert.ok(built.includes(hash.digest('hex')), `${built}: run ${BUILD} and commit the object`);
});

test('the committed object is what its sources compile to', {
  skip: version === undefined ? 'needs clang, llvm and libbpf-dev' : false,
}, (t) => {
  const scratch = scratchDirectory();
  try {
    const output = join(scratch.path, 'rebuilt.o');
    const result = spawnSync('bash', [BUILD, output], { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
    const rebuilt = elfSections(readFileSync(output));
    const same = built.includes(`clang ${version},`);
    // Another compiler chooses other instructions; the maps must still be the same.
    if (!same) t.diagnostic(`committed: ${built}; here is clang ${version}: maps compared only`);
    for (const name of same ? PROGRAM_SECTIONS : ['license', '.maps']) {
      assert.ok(rebuilt.get(name)!.equals(committed.get(name)!), `section ${name}; run ${BUILD}`);
    }
  } finally {
    scratch.drop();
  }
});

test('the committed object holds no path of the machine it was built on', () => {
  const text = readFileSync(OBJECT_PATH, 'latin1');
  assert.doesNotMatch(text, /\/(work|home|root|tmp)\//);
});
