/** The whole benchmark of the datapath, tiny: every scenario runs and cleans up. Speed is not judged. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { runDatapathBench, stepsOf } from '../../bench/datapath/bench.ts';
import { skipReason } from '../../bench/datapath/namespace.ts';
import { scenarios } from '../../bench/datapath/scenarios/registry.ts';
import type { DatapathSize } from '../../bench/datapath/scenarios/scenario.ts';
import { benchText, enveloped } from '../../bench/measure/bench-report.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { programPath } from '../../bench/measure/machine.ts';
import { processTree } from '../../bench/measure/process-usage.ts';
import { silentProgress } from '../../bench/measure/progress.ts';

const tiny: DatapathSize = {
  rounds: 1,
  sliceMs: 150,
  seconds: 5,
  warmUpSeconds: 5,
  requestsMax: 100,
  tickets: 20_000,
  events: 5_000,
  idleFlows: 300,
  idleMs: 500,
  packetsPerS: 2_000,
  floodPacketsPerS: 2_000,
};

/** The tables of each scenario, with those who take part. */
const TABLES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  bulk: { bulk: ['healed', 'plain'] },
  packets: { packets: ['healed', 'plain'] },
  bursts: { bursts: ['healed', 'plain'] },
  path: { path: ['healed', 'plain'] },
  'keep-alive': { 'keep-alive': ['holdfast', 'plain', 'holdfast + agent'] },
  'per-request': { 'per-request': ['holdfast', 'plain', 'holdfast + agent'] },
  flood: { flood: ['healed', 'plain'], 'flood-tunnel': ['healed'] },
  maps: {
    'map-updates': ['one by one', 'batches', 'batches, again'],
    'event-drain': ['map look-ups', 'ring'],
    'ticket-bytes': ['map', 'key and value alone'],
    'own-ticket-bytes': ['map', 'key and value alone'],
  },
  idle: { idle: ['no flows', '300 flows'] },
};

/** What has no base says so. */
const WITHOUT_BASE = ['flood-tunnel'];

/** A directory for temporary files that nobody else uses. */
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
process.env.TMPDIR = scratch;
after(() => rmSync(scratch, { recursive: true }));

describe('datapath benchmark', { skip: skipReason('ethtool') }, () => {
  for (const scenario of scenarios) {
    const lacking = Object.keys(scenario.programs).filter(
      (program) => programPath(program) === undefined,
    );
    test(`${scenario.name}: everything is measured, and nothing is left`, {
      skip: lacking.length > 0 && `not installed: ${lacking.join(', ')}`,
      timeout: 120_000,
    }, async () => {
      let steps = 0;
      const plan = { scenarios: [scenario], size: tiny };
      const report = await runDatapathBench({
        ...plan,
        progress: { ...silentProgress, done: () => (steps += 1) },
        signal: new AbortController().signal,
      });
      assert.equal(steps, stepsOf(plan), 'as many steps as were announced');
      const tables = Object.fromEntries(
        report.scenarios.map(({ name, contenders }) => [name, contenders.map((one) => one.name)]),
      );
      assert.deepEqual(tables, TABLES[scenario.name]);
      for (const { name, about, contenders } of report.scenarios) {
        const compared = contenders.some(({ ratios }) => Object.keys(ratios).length > 0);
        assert.equal(compared, !WITHOUT_BASE.includes(name), `${name} is compared with its base`);
        assert.equal(/without a base/.test(about), WITHOUT_BASE.includes(name), name);
        for (const { value, failed } of contenders) {
          assert.equal(failed, 0);
          assert.ok(Number.isFinite(value.median) && value.median >= 0);
        }
      }
      const layout = (rows: readonly (readonly string[])[]) =>
        rows.map((row) => row.join(' ')).join('\n');
      const text = benchText(enveloped(report, 'holdfast bench datapath', {}), layout);
      for (const name of Object.keys(tables)) assert.ok(text.includes(name));
      assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
      assert.equal(processTree(process.pid).length, 1, 'no process is left');
      assert.deepEqual(readdirSync(scratch), [], 'no file is left');
    });
  }

  test('stopped in the middle, it ends every process and removes its files', async () => {
    const controller = new AbortController();
    const stop = new BenchError('enough', 'ERR_BENCH_INTERRUPTED');
    const run = runDatapathBench({
      scenarios: scenarios.filter(({ name }) => name === 'idle'),
      size: { ...tiny, idleMs: 60_000 },
      progress: { ...silentProgress, step: () => setTimeout(() => controller.abort(stop), 500) },
      signal: controller.signal,
    });
    await assert.rejects(run, (error) => error === stop);
    assert.equal(processTree(process.pid).length, 1);
    assert.deepEqual(readdirSync(scratch), [], 'no file is left');
  });
});
