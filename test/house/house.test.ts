import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  coresArePure,
  filesAreRooms,
  importDirection,
  nothingLeftOver,
  type SourceFile,
  shellsExist,
} from './rules.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));
/** Made by machines, or not ours. */
const skipped = new Set(['node_modules', 'dist', 'coverage', '.git', '.holdfast']);
const texts = /\.(ts|js|c|h|md|json|yaml|yml|sh|conf|html|css)$|^(\.ci\/run|LICENSE)$/;

function* filesIn(directory: string): Generator<SourceFile> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const full = join(directory, entry.name);
    const path = relative(top, full).replaceAll(sep, '/');
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) yield* filesIn(full);
    } else if (entry.isFile() && texts.test(path) && path !== 'package-lock.json') {
      yield { path, text: readFileSync(full, 'utf8') };
    }
  }
}

const files = [...filesIn(top)];
const sources = files.filter(({ path }) => path.endsWith('.ts'));

test('rooms import only the rooms that they may', () => {
  assert.deepEqual(sources.flatMap(importDirection), []);
});

test('cores do no IO and own no timer, clock or randomness', () => {
  assert.deepEqual(sources.flatMap(coresArePure), []);
});

test('every file that is listed as a shell exists', () => {
  assert.deepEqual(shellsExist(new Set(files.map(({ path }) => path))), []);
});

test('files are small and named by what they hold', () => {
  assert.deepEqual(sources.flatMap(filesAreRooms), []);
});

test('nothing unfinished, nothing of one machine is left in the tree', () => {
  assert.deepEqual(files.flatMap(nothingLeftOver), []);
});

test('the rules look at real files', () => {
  const paths = new Set(files.map(({ path }) => path));
  for (const path of ['src/edge/edge.ts', 'bin/holdfast.js', 'README.md', '.ci/run']) {
    assert.ok(paths.has(path), path);
  }
});
