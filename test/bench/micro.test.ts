import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  homesQuickSize,
  homesScenarios,
  homesSteps,
  runHomesBench,
} from '../../bench/homes/bench.ts';
import {
  type BenchReport,
  benchHtml,
  benchText,
  enveloped,
} from '../../bench/measure/bench-report.ts';
import { type Contest, contestSteps, runContest } from '../../bench/measure/contest.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { processTree } from '../../bench/measure/process-usage.ts';
import { silentProgress } from '../../bench/measure/progress.ts';
import { measureAll } from '../../src/cli/bench-all.ts';
import { typedCommand } from '../../src/cli/bench-command.ts';
import { columns } from '../../src/cli/table.ts';

const { signal } = new AbortController();

function counting() {
  const progress = {
    ...silentProgress,
    steps: 0,
    done() {
      progress.steps += 1;
    },
  };
  return progress;
}

function contest(order: string[]): Contest {
  const contender = (name: string, value: number) => ({
    name,
    measure: async (round: number) => {
      order.push(`${name}${round}`);
      return { value: value * (round + 1), served: 10, failed: 0 };
    },
  });
  return {
    name: 'speed',
    about: 'how fast',
    unit: 'ms',
    bases: ['b'],
    targets: [{ contender: 'a', base: 'b', atMost: 1 }],
    rounds: 4,
    contenders: [contender('a', 3), contender('b', 2)],
  };
}

test('contenders take turns, and ratios compare values of one round', async () => {
  const order: string[] = [];
  const progress = counting();
  const result = await runContest(contest(order), progress, signal);
  assert.deepEqual(order, ['a0', 'b0', 'b1', 'a1', 'b2', 'a2', 'a3', 'b3']);
  assert.equal(progress.steps, contestSteps(contest([])));
  // Every round is slower than the one before; the ratio is the same in all of them.
  const [a] = result.contenders;
  assert.deepEqual([a?.ratios.b?.min, a?.ratios.b?.max], [1.5, 1.5]);
  assert.equal(result.targets[0]?.measured?.median, 1.5);
});

test('a contest that is stopped ends with the reason, before the next measurement', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const order: string[] = [];
  const progress = { ...silentProgress, done: () => controller.abort(reason) };
  await assert.rejects(runContest(contest(order), progress, controller.signal), reason);
  assert.deepEqual(order, ['a0']);
});

test('bench homes, tiny: every part serves every ticket and has a base', async () => {
  const size = {
    ...homesQuickSize,
    rounds: 1,
    nodes: 20,
    tickets: 20_000,
    streamSeconds: 1,
    refillTickets: 5_000,
  };
  const progress = counting();
  const measured = await runHomesBench({ size, progress, signal });
  assert.equal(progress.steps, homesSteps({ size }));
  assert.deepEqual(
    measured.scenarios.map(({ name }) => name),
    homesScenarios,
  );
  for (const { name, contenders } of measured.scenarios) {
    assert.ok(contenders.length >= 2, name);
    for (const { failed, served, value } of contenders) {
      assert.equal(failed, 0, name);
      assert.ok(served > 0 && Number.isFinite(value.median), name);
    }
  }
  const [table] = measured.facts ?? [];
  assert.ok((table?.rows.length ?? 0) >= 9);
  for (const row of table?.rows ?? []) assert.doesNotMatch(row.join(), /NaN|Infinity/);
  assert.equal(processTree(process.pid).length, 1, 'no process is left');
});

test('bench all: a part that cannot be carried out costs the others nothing, and a stop ends it', async () => {
  const controller = new AbortController();
  const stop = new BenchError('enough', 'ERR_BENCH_INTERRUPTED');
  const missing = new BenchError('wrk is not installed', 'ERR_BENCH_PROGRAM_MISSING');
  const good = { bench: 'homes', takenAt: '', machine, method: [], scenarios: [] };
  const part = (name: string, run: () => Promise<typeof good>) => ({ name, steps: 1, run });
  const parts = [
    part('edge', () => Promise.reject(missing)),
    part('homes', async () => good),
    part('mesh', async () => {
      controller.abort(stop);
      throw new Error('a process was stopped');
    }),
    part('never', () => assert.fail('it was stopped before')),
  ];
  const done: string[] = [];
  const all = async () => {
    for await (const one of measureAll(parts, silentProgress, controller.signal)) {
      done.push(`${one.name} ${'failure' in one ? one.failure : one.measured.bench}`);
    }
  };
  await assert.rejects(all, (error) => error === stop);
  assert.deepEqual(done, ['edge wrk is not installed', 'homes homes']);
});

const machine = {
  kernel: '6.1',
  cpuModel: 'Some CPU',
  cpus: 2,
  memoryBytes: 2 ** 33,
  node: 'v26.0.0',
  openFilesMax: 1_024,
};

async function reportWith(text: string): Promise<BenchReport> {
  const result = await runContest(contest([]), silentProgress, signal);
  const facts = [{ name: text, about: text, head: ['', text], rows: [[text, text]] }];
  const scenarios = [
    { ...result, name: text, about: text, absent: [{ name: text, reason: text }] },
  ];
  const about = { bench: text, takenAt: text, machine: { ...machine, cpuModel: text } };
  return enveloped({ ...about, method: [text], scenarios, facts }, text, { [text]: text });
}

test('a report says by which command, where and with what it was measured', async () => {
  const report = await reportWith('plain');
  const layout = (rows: readonly (readonly string[])[]) => columns(rows, { indent: 2 });
  const text = benchText(report, layout);
  for (const part of ['plain plain', 'kernel 6.1', '2 × plain', 'v26.0.0', 'at most 1']) {
    assert.ok(text.includes(part), part);
  }
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
  assert.match(benchHtml([report, report]), /<td>1\.50 \(1\.50–1\.50\)<\/td>/);
});

test('no text from outside changes the structure of the page of benchmarks', async () => {
  const structure = (html: string) =>
    html
      .match(/<[!/a-z][^>]*>/gi)
      ?.join('')
      .replace(/"[^"]*"/g, '');
  const expected = structure(benchHtml([await reportWith('plain')]));
  const attack = fc
    .array(fc.oneof(fc.constantFrom('<script>', '</td>', '"', "'", '<', '&', '-->'), fc.string()), {
      minLength: 1,
      maxLength: 4,
    })
    .map((parts) => `x${parts.join('')}`);
  await fc.assert(
    fc.asyncProperty(attack, async (text) => {
      assert.equal(structure(benchHtml([await reportWith(text)])), expected);
    }),
    { numRuns: 100 },
  );
});

test('a command is told as it can be typed again', () => {
  const words = ['bench', 'flap', '--server-command', 'sh -c \'x "y"\'', '--json', 'a.json'];
  assert.equal(
    typedCommand(words),
    `holdfast bench flap --server-command 'sh -c '\\''x "y"'\\''' --json a.json`,
  );
});
