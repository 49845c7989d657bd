/** The benchmark in small: real labs, few sessions, short runs. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { planFlap } from '../../bench/flap/plan.ts';
import { silentSuite } from '../../bench/flap/progress.ts';
import type { FlapResult } from '../../bench/flap/result.ts';
import { runSuite } from '../../bench/flap/run.ts';
import { type ScenarioInput, scenarioSchema } from '../../bench/lab/scenarios/schema.ts';
import { holdfast, startHoldfast } from '../lab/command-line.ts';
import { skipWithoutRoot } from '../lab/root.ts';

const options = { skip: skipWithoutRoot, timeout: 120_000 };

const tiny: ScenarioInput = {
  name: 'tiny',
  about: 'one flip, one session of each kind',
  durationMs: 2_000,
  tailMs: 1_000,
  pops: 2,
  clients: { download: 1, upload: 1, websocket: 1, sse: 1, keepalive: 1 },
  transferBytes: 1_048_576,
  events: [{ atMs: 600, do: 'flip', to: 'next' }],
  expected: { on: 'survive', off: 'lose' },
};
const drained: ScenarioInput = {
  ...tiny,
  name: 'drained',
  flip: 'bgp',
  clients: { websocket: 2 },
  events: [{ atMs: 500, do: 'drain', pop: 'a' }],
};

const run = (scenarios: ScenarioInput[], more: object = {}) =>
  runSuite(
    planFlap({
      scenarios: scenarios.map((scenario) => scenarioSchema.parse(scenario)),
      servers: ['nginx'],
      families: [4],
      ...more,
    }),
    { suite: 'custom', command: 'holdfast bench flap', seed: 1, progress: silentSuite },
  );

const survival = ({ rows }: FlapResult) =>
  rows.map(({ scenario, contender, sessions }) => [
    scenario,
    contender,
    sessions.survived,
    sessions.started,
  ]);

test(
  'a server loses its sessions by itself, and none with the agent beside it',
  options,
  async () => {
    const result = await run([tiny, drained]);
    assert.deepEqual(result.failures, []);
    assert.deepEqual(survival(result), [
      ['tiny', 'nginx', 0, 5],
      ['tiny', 'nginx+agent', 5, 5],
      ['drained', 'nginx', 0, 2],
      ['drained', 'nginx+agent', 2, 2],
    ]);
    assert.deepEqual([result.complete, result.plannedCells], [true, 4]);
    const cell = result.cells.find(({ scenario, agent }) => scenario === 'tiny' && agent);
    assert.equal(cell?.flips.length, 1);
    assert.ok((cell?.relayedPackets ?? 0) > 0);
    assert.ok((cell?.gapMs.count ?? 0) > 50);
    assert.ok((cell?.detour?.agentsCpuMs ?? -1) >= 0);
    // Of about one mebibyte each way within some three seconds.
    const bytes = (cell?.throughput.bytesPerS ?? []).reduce((sum, rate) => sum + rate / 10, 0);
    assert.ok(bytes > 500_000, `${bytes}`);
    const moved = result.cells.find(({ scenario }) => scenario === 'drained');
    assert.deepEqual([moved?.flips[0]?.from, moved?.flips[0]?.to], ['pop-a', 'pop-b']);
    assert.match(moved?.steps[0]?.text ?? '', /pop-a announces worse/);
    assert.match(result.contenders[0]?.version ?? '', /^nginx\//);
  },
);

test(
  'any command can be the server under test; one that does not serve is a failure of its runs alone',
  options,
  async () => {
    const plan = planFlap({
      scenarios: [scenarioSchema.parse({ ...tiny, clients: { keepalive: 1 } })],
      servers: ['command'],
      agent: 'off',
      families: [6],
    });
    const common = { suite: 'custom', command: '', seed: 1, progress: silentSuite };
    const proxy =
      'haproxy -db -f /dev/stdin <<END\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\nlisten x\n bind {listen}\n server o {app}\nEND\n';
    const served = await runSuite(plan, { ...common, serverCommand: proxy });
    assert.deepEqual(served.failures, []);
    assert.deepEqual(survival(served), [['tiny', 'command', 0, 1]]);
    const broken = await runSuite(plan, { ...common, serverCommand: 'false {address}' });
    assert.deepEqual(broken.cells, []);
    assert.match(broken.failures[0]?.message ?? '', /command on pop-[ab] ended \(exit code 1\)/);
  },
);

test(
  'the command writes its reports, and keeps what it measured when it is stopped',
  options,
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-flap-'));
    try {
      const file = (name: string) => join(directory, name);
      writeFileSync(file('tiny.yaml'), JSON.stringify({ ...tiny, clients: { websocket: 2 } }));
      const flags = ['--scenario', file('tiny.yaml'), '--server', 'nginx', '--agent', 'off'];
      const outputs = ['--json', file('a.json'), '--html', file('a.html'), '--csv', file('a.csv')];
      const first = await holdfast('bench', 'flap', ...flags, ...outputs);
      assert.equal(first.code, 0, first.stderr);
      assert.match(first.stderr, /1\/1 · tiny · nginx · IPv4: 0 of 2 sessions survived/);
      assert.match(first.stdout, /tiny/);
      const result = JSON.parse(readFileSync(file('a.json'), 'utf8')) as FlapResult;
      assert.deepEqual([result.suite, result.complete], ['custom', true]);
      assert.match(result.command, /^holdfast bench flap --scenario /);
      assert.ok(existsSync(file('a.html')) && existsSync(file('a.csv')));

      const again = ['--repetitions', '20', '--json', file('b.json')];
      const stopped = startHoldfast('bench', 'flap', ...flags, ...again);
      await stopped.says(/1\/20 · /);
      stopped.child.kill('SIGINT');
      const { code, stderr } = await stopped.ended;
      assert.equal(code, 130, stderr);
      assert.match(stderr, /stopped by SIGINT: \d+ of 20 runs were measured and kept/);
      const part = JSON.parse(readFileSync(file('b.json'), 'utf8')) as FlapResult;
      assert.equal(part.complete, false);
      assert.ok(part.cells.length >= 1);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);
