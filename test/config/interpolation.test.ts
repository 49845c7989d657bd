import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  InterpolationError,
  interpolate,
  type Surroundings,
} from '../../src/config/interpolation.ts';

const variables = new Map([
  ['NAME', 'value'],
  ['EMPTY', ''],
  ['NESTED', '$' + '{NAME}'],
]);
const from: Surroundings = {
  variable: (name) => variables.get(name),
  file: (path) => {
    if (path === '/secret') return 'hidden\n';
    throw new InterpolationError(`${path} does not exist`);
  },
};

/** `{NAME}` stands for a dollar sign and `{NAME}`, so that the lint sees no slip in the test. */
const fill = (text: string) => interpolate(text.replaceAll('§', '$'), from);

test('variables, defaults and files are filled in, several in one text', () => {
  assert.equal(fill('a §{NAME} b §{NAME}'), 'a value b value');
  assert.equal(fill('§{MISSING:-8080}'), '8080');
  assert.equal(fill('§{MISSING:-}'), '');
  assert.equal(fill('§{EMPTY:-full}'), 'full');
  assert.equal(fill('§{EMPTY}'), '');
  assert.equal(fill('§{NAME:-unused}'), 'value');
});

test('a file loses its last line break and nothing else', () => {
  assert.equal(fill('[§{file:/secret}]'), '[hidden]');
});

test('a doubled dollar sign is a literal one, and a lone one is left alone', () => {
  assert.equal(fill('§§{NAME}'), '$' + '{NAME}');
  assert.equal(fill('costs 5 § {NAME} §NAME §'), 'costs 5 $ {NAME} $NAME $');
});

test('values are not searched for further expressions', () => {
  assert.equal(fill('§{NESTED}'), '$' + '{NAME}');
});

test('what cannot be filled in is an error that says how to mend it', () => {
  assert.throws(
    () => fill('§{MISSING}'),
    /MISSING is not set: set it, or write \$\{MISSING:-default\}/,
  );
  assert.throws(() => fill('§{NAME'), /has no "}"/);
  assert.throws(() => fill('§{1BAD}'), /is not understood/);
  assert.throws(() => fill('§{}'), /is not understood/);
  assert.throws(() => fill('§{file:}'), /names no file/);
  assert.throws(() => fill('§{file:/nowhere}'), /\/nowhere does not exist/);
});

test('no text makes it throw anything but its own error, and texts without dollar signs stay', () => {
  const piece = fc.constantFrom('$', '{', '}', 'NAME', ':-', 'file:', '/secret', 'x', ' ', '\n');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('');
      try {
        const filled = interpolate(text, from);
        if (!text.includes('$' + '{')) assert.equal(filled, text);
      } catch (error) {
        assert.ok(error instanceof InterpolationError, String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});
