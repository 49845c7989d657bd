import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderMarkdown } from '../../bench/flap/report/report.ts';
import { type BenchReport, enveloped } from '../../bench/measure/bench-report.ts';
import { benchMarkdown, markdownTable } from '../../bench/measure/markdown.ts';
import { summarize } from '../../bench/measure/report.ts';
import { hostile, sample } from '../flap-report/results.ts';

const MACHINE = {
  kernel: '6.1',
  cpuModel: 'Some CPU',
  cpus: 2,
  memoryBytes: 2 ** 33,
  node: 'v26.0.0',
  openFilesMax: 1_024,
};

function reportWith(text: string): BenchReport {
  const samples = (value: number) => [{ value, served: 10, failed: 0 }];
  const scenario = summarize({
    name: text,
    about: text,
    unit: 'ms',
    bases: ['base'],
    targets: [{ contender: 'ours', base: 'base', atMost: 2 }],
    contenders: [
      { name: 'ours', samples: samples(3) },
      { name: 'base', samples: samples(2) },
    ],
    absent: [{ name: text, reason: text }],
  });
  const facts = [{ name: text, about: text, head: ['', text], rows: [[text, text]] }];
  const about = { bench: text, takenAt: text, machine: { ...MACHINE, cpuModel: text } };
  const measured = { ...about, method: [text], scenarios: [scenario], facts };
  return enveloped(measured, text, { [text]: text });
}

/** Table rows by their number of cells, and what else a line begins with. */
const structure = (markdown: string): string[] =>
  markdown.split('\n').map((line) => {
    if (line.startsWith('|')) return `|${line.split(/(?<!\\)\|/).length}`;
    return /^(?:- |#+ |`{3,}|\*\*)?/.exec(line)?.[0].replace(/`+/, '`') ?? '';
  });

test('tables of a micro benchmark have a row for each contender, with its ratio to the base', () => {
  const text = benchMarkdown([reportWith('plain')]);
  assert.ok(text.includes('|  | ms | × base | served | failed |\n|---|--:|--:|--:|--:|\n'));
  assert.ok(text.includes('| ours | 3.00 (3.00–3.00) | 1.50 (1.50–1.50) | 10 | 0 |'));
  assert.ok(text.includes('- ours: 1.50 (1.50–1.50) × base; target: at most 2'));
  assert.ok(text.includes('```sh\nplain\n```'));
});

test('the flap benchmark tells who survived, the numbers of every row and what failed', () => {
  const result = sample();
  const text = renderMarkdown(result);
  for (const { name } of result.contenders) assert.ok(text.includes(` ${name} |`), name);
  for (const { name, ownerLives } of result.scenarios) {
    assert.ok(text.includes(`\n| ${name}${ownerLives ? '' : ' †'} |`), name);
  }
  const rows = text.split('\n').filter((line) => line.startsWith('| ') && line.includes(' of '));
  assert.equal(rows.length, result.rows.length);
  assert.equal(text.match(/, run \d+/g)?.length ?? 0, result.failures.length);
  assert.doesNotMatch(text, /NaN|undefined/);
});

test('no text from outside changes the structure of the Markdown', () => {
  const expected = structure(benchMarkdown([reportWith('x')]));
  const expectedFlap = structure(renderMarkdown(hostile('x')));
  const attack = fc
    .array(
      fc.oneof(fc.constantFrom('|', '\\', '\n| a', '```', '- ', '# ', '\r', '\u2028'), fc.string()),
      { minLength: 1, maxLength: 4 },
    )
    .map((parts) => `x${parts.join('')}`);
  fc.assert(
    fc.property(attack, (text) => {
      assert.deepEqual(structure(benchMarkdown([reportWith(text)])), expected);
      assert.deepEqual(structure(renderMarkdown(hostile(text))), expectedFlap);
    }),
    { numRuns: 200 },
  );
});

test('a cell shows what it was given', () => {
  assert.deepEqual(
    markdownTable([
      ['', 'a|b'],
      ['x_y', '< 1'],
    ]),
    ['|  | a\\|b |', '|---|--:|', '| x\\_y | \\< 1 |'],
  );
});
