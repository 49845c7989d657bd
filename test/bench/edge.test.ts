/** The whole edge benchmark, tiny: everybody must serve everything. Speed is not judged. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import { contenders } from '../../bench/edge/contenders/registry.ts';
import { runEdgeBench, stepsOf } from '../../bench/edge/run.ts';
import { scenarios } from '../../bench/edge/scenarios/registry.ts';
import type { BenchSize } from '../../bench/edge/scenarios/scenario.ts';
import { idleTunnelsMax } from '../../bench/edge/scenarios/tunnels.ts';
import { benchText, enveloped } from '../../bench/measure/bench-report.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { programPath } from '../../bench/measure/machine.ts';
import { processTree } from '../../bench/measure/process-usage.ts';
import { silentProgress } from '../../bench/measure/progress.ts';

const tiny: BenchSize = {
  rounds: 1,
  freshRounds: 1,
  seconds: 5,
  warmUpSeconds: 5,
  idleTunnels: 60,
  requestsMax: 200,
};

const lacking = ['nginx', 'wrk'].filter((program) => programPath(program) === undefined);
const skip = lacking.length > 0 && `not installed: ${lacking.join(', ')}`;
const directories = () =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('holdfast-bench-'));

describe('edge benchmark', { skip }, () => {
  for (const scenario of scenarios) {
    test(`${scenario.name}: every contender serves every request`, {
      timeout: 60_000,
    }, async () => {
      let steps = 0;
      const plan = { scenarios: [scenario], contenders, size: tiny };
      const report = await runEdgeBench({
        ...plan,
        progress: { ...silentProgress, done: () => (steps += 1) },
        signal: new AbortController().signal,
      });
      assert.equal(steps, stepsOf(plan), 'as many steps as were announced');
      const [result] = report.scenarios;
      assert.equal(result?.name, scenario.name);
      const served = result.contenders.map(({ name }) => name);
      const expected = contenders
        .filter((one) => one.missing() === undefined && (one.tunnels || !scenario.tunnels))
        .map(({ name }) => name);
      assert.deepEqual(served, expected);
      for (const contender of result.contenders) {
        assert.equal(contender.failed, 0, `${contender.name} failed`);
        const least = scenario.fresh ? 60 : scenario.name === 'body-10m' ? 2 : 200;
        assert.ok(contender.served >= least, `${contender.name} served ${contender.served}`);
        assert.equal(contender.values.length, 1);
        assert.ok(Number.isFinite(contender.value.median));
      }
      const layout = (rows: readonly (readonly string[])[]) =>
        rows.map((row) => row.join(' ')).join('\n');
      const text = benchText(enveloped(report, 'holdfast bench edge', {}), layout);
      for (const name of expected) assert.ok(text.includes(name));
      assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
      assert.equal(processTree(process.pid).length, 1, 'no process is left');
    });
  }

  test('stopped in the middle, it ends every process and removes its files', async () => {
    const before = directories();
    const controller = new AbortController();
    const stop = new BenchError('enough', 'ERR_BENCH_INTERRUPTED');
    const run = runEdgeBench({
      scenarios: scenarios.filter(({ name }) => name === 'http-1k'),
      contenders: contenders.filter(({ name }) => name === 'nginx' || name === 'holdfast'),
      size: { ...tiny, requestsMax: 1_000_000_000 },
      progress: { ...silentProgress, step: () => setTimeout(() => controller.abort(stop), 500) },
      signal: controller.signal,
    });
    await assert.rejects(run, (error) => error === stop);
    assert.equal(processTree(process.pid).length, 1);
    assert.deepEqual(directories(), before);
  });

  test('a contender that does not start is an error that shows what it said', async () => {
    const nginx = contenders.find(({ name }) => name === 'nginx')!;
    const broken = {
      ...nginx,
      launch: () => ({ files: {}, argv: ['sh', '-c', 'echo no such option >&2; exit 3'] }),
    };
    const run = runEdgeBench({
      scenarios: scenarios.slice(0, 1),
      contenders: [broken],
      size: tiny,
      progress: silentProgress,
      signal: new AbortController().signal,
    });
    await assert.rejects(run, /nginx ended \(exit code 3\):\nno such option/);
    assert.equal(processTree(process.pid).length, 1);
  });
});

test('idle tunnels stay within the limit of open files, two sockets each', () => {
  assert.equal(idleTunnelsMax(10_000, 1_048_576), 10_000);
  assert.equal(idleTunnelsMax(10_000, 20_000), 9_500);
  assert.equal(idleTunnelsMax(10_000, 10), 1);
});
