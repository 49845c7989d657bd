import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadScenario, parseScenario } from '../../bench/lab/scenarios/load.ts';
import { scenarioReference } from '../../bench/lab/scenarios/reference.ts';
import { scenarioOf } from '../../bench/lab/scenarios/registry.ts';
import { ConfigError } from '../../src/config/problem.ts';

const GOOD = `name: mine
about: what happens here
durationMs: 5000
clients: {websocket: 2}
events:
  - {atMs: 1000, do: flip, to: next}
expected: {on: survive, off: lose}
`;

/** `line:column: text` of every problem. */
function problemsOf(text: string): string[] {
  try {
    parseScenario(text, 'mine.yaml');
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ line, column, path, message }) =>
      `${line}:${column}: ${path}: ${message}`.replace(': : ', ': '),
    );
  }
}

test('a file says little, and the rest has its defaults', () => {
  const scenario = parseScenario(GOOD, 'mine.yaml');
  assert.equal(scenario.pops, 3);
  for (const [name, value] of Object.entries(scenario.links)) assert.equal(value, 0, name);
  assert.deepEqual([scenario.everyMs, scenario.stallMs, scenario.tailMs], [20, 10_000, 0]);
  assert.deepEqual(scenario.before, []);
  assert.deepEqual(scenario.events, [{ atMs: 1_000, do: 'flip', to: 'next' }]);
});

const BAD: readonly [what: string, from: string, to: string, problem: RegExp][] = [
  [
    'an unknown key',
    'durationMs',
    'durationMS: 1\ndurationMs',
    /^3:1: unknown key "durationMS", did you mean "durationMs"\?$/,
  ],
  [
    'an unknown kind of session',
    '{websocket',
    '{websockets',
    /^4:11: clients: unknown key "websockets", did you mean "websocket"\?$/,
  ],
  [
    'an unknown key of an event',
    'to: next',
    'too: next',
    /^6:28: events\[0\]: unknown key "too", did you mean "to"\?$/,
  ],
  [
    'an unknown event',
    'do: flip',
    'do: flop',
    /^6:22: events\[0\]\.do: "flop" is nothing that can happen: did you mean "flip"\? Or write flip, withdraw, /,
  ],
  [
    'an event without a name',
    'do: flip, ',
    '',
    /^6:5: events\[0\]\.do: is missing: write flip, withdraw/,
  ],
  [
    'an event without its key',
    ', to: next',
    '',
    /^6:5: events\[0\]\.to: is missing: write next, best, a/,
  ],
  [
    'a PoP that nobody can have',
    'do: flip, to: next',
    'do: crash, pop: z',
    /^6:34: events\[0\]\.pop: "z" is not known/,
  ],
  [
    'a PoP that this scenario has not',
    'do: flip, to: next',
    'do: crash, pop: e',
    /pops: an event names a PoP beyond these: write at least 5$/,
  ],
  [
    'a missing key',
    'durationMs: 5000\n',
    '',
    /^1:1: durationMs: is missing: a (whole )?number is needed$/,
  ],
  [
    'a number too large',
    '5000',
    '50000000',
    /^3:13: durationMs: 50000000 is too large: the most is 3600000$/,
  ],
  [
    'an event after the end',
    '1000',
    '6000',
    /^3:13: durationMs: the last event and tailMs \(0\) need at least 6000$/,
  ],
  [
    'no session at all',
    'websocket: 2',
    'websocket: 0',
    /^4:10: clients: there must be at least one session$/,
  ],
  [
    'an unknown expectation',
    'off: lose',
    'off: loose',
    /expected\.off: "loose" is not known: did you mean "lose"\?/,
  ],
  [
    'a repetition of what lasts',
    'do: flip, to: next',
    'everyMs: 100, do: mend',
    /everyMs: mend cannot be repeated$/,
  ],
  [
    'announcements and flips',
    'events:',
    'events:\n  - {atMs: 1, do: withdraw, pop: a}',
    /flip does not go together with withdraw/,
  ],
  [
    'a withdrawal without BGP',
    'do: flip, to: next}',
    'do: withdraw, pop: a}\nflip: route',
    /withdraw works by BGP: remove "flip: route"$/,
  ],
  [
    'a VIP that nobody announces',
    'do: flip, to: next}',
    'do: withdraw, pop: a}\n  - {atMs: 1100, do: withdraw, pop: b}\n  - {atMs: 1200, do: withdraw, pop: c}',
    /^6:3: events: at 1200 ms the last PoP that announces would stop: announce another$/,
  ],
  [
    'a flip before the sessions',
    'events:',
    'before: [{do: flip, to: next}]\nevents:',
    /before\[0\]\.do: flip can only happen while sessions run/,
  ],
  [
    'a split of handshakes by chance',
    'do: flip, to: next',
    'do: split, by: syn, percent: 5',
    /percent: a share of packets needs "by: packet"$/,
  ],
  [
    'a key written twice',
    'durationMs: 5000',
    'durationMs: 5000\ndurationMs: 6000',
    /^4:1: this key is already written above/,
  ],
  ['a variable', 'mine', '$' + '{HOME}', /HOME/],
];

for (const [what, from, to, problem] of BAD) {
  test(`${what} is refused with its place and the way to mend it`, () => {
    assert.ok(GOOD.includes(from), from);
    const problems = problemsOf(GOOD.replace(from, () => to));
    assert.ok(
      problems.some((text) => problem.test(text)),
      problems.join('\n'),
    );
  });
}

test('all that is wrong is told at once, in the order of the file', () => {
  const problems = problemsOf('name: Mine!\nabout: ""\nexpected: {}\nclients: {x: 1}\n');
  assert.ok(problems.length >= 6, problems.join('\n'));
  const lines = problems.map((text) => Number(text.split(':')[0]));
  assert.deepEqual(
    lines,
    [...lines].sort((a, b) => a - b),
  );
});

test('whatever bytes a file holds, it is a scenario or a list of problems', () => {
  const lines = GOOD.split('\n');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.shuffledSubarray(lines).map((some) => some.join('\n')),
      ),
      fc.string({ maxLength: 5 }),
      fc.nat(200),
      (text, more, at) => {
        problemsOf(text.slice(0, at) + more + text.slice(at));
      },
    ),
    { numRuns: 300 },
  );
});

test('a file is named by a slash or its ending, a scenario of ours by its name', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-scenario-'));
  try {
    const file = join(directory, 'mine.yaml');
    writeFileSync(file, GOOD);
    assert.equal(scenarioOf(file).name, 'mine');
    assert.equal(scenarioOf('flap-1s').name, 'flap-1s');
    assert.throws(() => scenarioOf('mine'), /write a file name with a slash/);
    assert.throws(() => loadScenario(join(directory, 'none.yaml')), /none\.yaml: does not exist/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the reference page in the docs is the one that the schema prints', () => {
  const page = readFileSync(new URL('../../docs/reference/scenario.md', import.meta.url), 'utf8');
  assert.equal(
    page,
    scenarioReference(),
    'renew it: holdfast lab scenario-reference > docs/reference/scenario.md',
  );
});
