/** Negative controls: each rule finds what it is for, and leaves alone what only looks like it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  coresArePure,
  filesAreRooms,
  importDirection,
  isCore,
  nothingLeftOver,
  shells,
  shellsExist,
} from './rules.ts';
import { codeOf, importsOf } from './source-text.ts';

const at = (path: string, text: string) => ({ path, text });

test('a room that imports upwards or sideways is found, whatever the form of the import', () => {
  for (const text of [
    "import { Edge } from '../edge/edge.ts';",
    "import type { Edge } from '../edge/edge.ts';",
    "export * from '../edge/edge.ts';",
    "import '../edge/edge.ts';",
    "const edge = await import('../edge/edge.ts');",
    "import {\n  Edge,\n  type EdgeDeps,\n} from '../edge/edge.ts';",
  ]) {
    assert.equal(importDirection(at('src/sync/x.ts', text)).length, 1, text);
  }
  const node = "import { x } from '../node.ts';";
  assert.equal(importDirection(at('src/edge/x.ts', node)).length, 1);
  assert.equal(importDirection(at('bench/lab/x.ts', "import '../../src/node.ts';")).length, 1);
  assert.deepEqual(importDirection(at('src/cli/x.ts', node)), []);
  assert.deepEqual(importDirection(at('src/sync/deep/x.ts', "import '../../proto/y.ts';")), []);
  assert.match(importDirection(at('src/attic/x.ts', ''))[0] ?? '', /"attic" is not in the table/);
});

test('an import in a comment or a text is none', () => {
  const text =
    "// import '../edge/a.ts'\n/* import '../edge/b.ts' */ const x = \"import '../edge/c.ts'\";";
  assert.deepEqual(importDirection(at('src/sync/x.ts', text)), []);
});

test('a core that takes IO from node or from a package is found', () => {
  for (const text of [
    "import { readFileSync } from 'node:fs';",
    "import { isIP, connect } from 'node:net';",
    "import net from 'node:net';",
    "import * as crypto from 'node:crypto';",
    "import { randomBytes } from 'node:crypto';",
    "import { request } from 'undici';",
    "import pino from 'pino';",
    "import { Tunnel } from './tunnel.ts';",
    "const { connect } = await import('node:net');",
  ]) {
    assert.equal(coresArePure(at('src/edge/core.ts', text)).length, 1, text);
  }
});

test('what is pure or only a type is allowed in a core', () => {
  for (const text of [
    "import { isIP, isIPv4 as v4 } from 'node:net';",
    "import type { Socket } from 'node:net';",
    "import { type Socket } from 'node:net';",
    "import { createHash } from 'node:crypto';",
    "import type { Logger } from 'pino';",
    "import type { Tunnel } from './tunnel.ts';",
    "import { LRUCache } from 'lru-cache';",
  ]) {
    assert.deepEqual(coresArePure(at('src/edge/core.ts', text)), [], text);
  }
});

test('a core that owns a timer, reads a clock or draws randomness is found', () => {
  for (const text of [
    'setTimeout(f, 1);',
    'const t = setInterval(f, 1);',
    'const now = Date.now();',
    'const now = new Date();',
    'const now = performance.now();',
    `const now = \`\${Date.now()} ms\`;`,
    'const r = Math.random;',
    'const e = process.env.X;',
    'await fetch(url);',
  ]) {
    assert.equal(coresArePure(at('src/sync/core.ts', text)).length, 1, text);
  }
  for (const text of [
    '// Date.now() is not for us',
    "const text = 'Math.random()';",
    'const d = new Date(nowMs);',
    'this.setTimeout(1);',
    'const at = this.#fetch(1);',
    "const glob = '/*'; const x = 1; const y = '*/';",
    'const regex = /["\'`]/; const text = "setTimeout(";',
  ]) {
    assert.deepEqual(coresArePure(at('src/sync/core.ts', text)), [], text);
  }
});

test('a file is a core by its room or by its own word', () => {
  assert.equal(isCore(at('src/edge/new-file.ts', '')), true);
  assert.equal(isCore(at('src/edge/tunnel.ts', '')), false);
  assert.equal(isCore(at('src/config/x.ts', '/** Words.\n * A core\n * without IO. */')), true);
  assert.equal(isCore(at('src/config/x.ts', '/** Reads files. */')), false);
  assert.equal(isCore(at('bench/x.ts', '/** A core. */')), false);
});

test('a shell that is gone must leave the list', () => {
  assert.deepEqual(shellsExist(new Set(shells.keys())), []);
  assert.equal(shellsExist(new Set()).length, shells.size);
});

test('a file that is too long or named by nothing is found', () => {
  assert.equal(filesAreRooms(at('src/edge/x.ts', 'x\n'.repeat(501))).length, 1);
  assert.deepEqual(filesAreRooms(at('src/edge/x.ts', 'x\n'.repeat(500))), []);
  for (const path of [
    'src/edge/utils.ts',
    'bench/types.ts',
    'test/common/x.ts',
    'src/helpers.ts',
  ]) {
    assert.equal(filesAreRooms(at(path, '')).length, 1, path);
  }
  assert.deepEqual(filesAreRooms(at('src/edge/content-types.ts', '')), []);
});

test('leftovers are found with their line', () => {
  const found = (text: string) => nothingLeftOver(at('src/x.ts', text));
  assert.deepEqual(found(`a\n// FIX${'ME'}: later`), ['src/x.ts:2: unfinished work']);
  assert.equal(found(`test.on${'ly'}('x', f)`).length, 1);
  assert.equal(found(`test('x', { on${'ly'}: true }, f)`).length, 1);
  assert.equal(found(`cat /ho${'me'}/me/file`).length, 1);
  assert.equal(found(`'/wo${'rk'}/main'`).length, 1);
  assert.deepEqual(found('https://example.com/home/page, /homes, homework, todo'), []);
});

test('sources are read as TypeScript reads them', () => {
  assert.equal(codeOf(`a = 'x' /* y */ + \`z\${b}w\` // c`).trim(), "a = ''  + ``b``");
  assert.equal(codeOf('a = b / c / d; e = /f"/.test(g)'), 'a = b / c / d; e = //.test(g)');
  assert.equal(codeOf(`\`a\${\`b\${{ c: 1 }}\`}d\`; x`), '````{ c: 1 }````; x');
  assert.deepEqual(importsOf("import a, { b as c, type d } from 'x';"), [
    { specifier: 'x', names: ['b'], typeOnly: false, whole: true },
  ]);
  assert.deepEqual(importsOf("export { a } from './y.ts';"), [
    { specifier: './y.ts', names: ['a'], typeOnly: false, whole: false },
  ]);
});
