/** Nothing stays behind, however a run ends; and what the commands say about it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespaceIdentity, processesInside } from '../../bench/lab/process-table.ts';
import { holdfast, namespacesOf, startHoldfast } from './command-line.ts';
import { skipWithoutRoot } from './root.ts';

const options = { skip: skipWithoutRoot, timeout: 60_000 };
const RUN = ['lab', 'run', 'no-flip', '--server', 'nginx', '--pops', '2'];

/** Processes that are inside this lab now. */
async function processesOf(id: string): Promise<number[]> {
  const identities = await Promise.all(namespacesOf(id).map(namespaceIdentity));
  return await processesInside(identities.filter((identity) => identity !== undefined));
}

test('"lab down" removes what a killed run left, processes and namespaces', options, async () => {
  const run = startHoldfast(...RUN);
  const [, id = ''] = await run.says(/lab ([0-9a-f]{4}): /);
  await run.says(/all \d+ sessions run/);
  run.child.kill('SIGKILL');
  await run.ended;
  assert.ok((await processesOf(id)).length > 0);
  const listed = await holdfast('lab', 'list');
  assert.match(listed.stdout, new RegExp(`${id}[^]*left behind`));

  const down = await holdfast('lab', 'down', '--id', id);
  assert.equal(down.code, 0, down.stderr);
  assert.match(down.stdout, new RegExp(`lab ${id} removed: 6 namespaces`));
  assert.deepEqual(namespacesOf(id), []);
  assert.deepEqual(await processesOf(id), []);
  assert.equal(existsSync(`/run/holdfast/lab/${id}`), false);
});

test('TERM in the middle of a run removes the lab and exits with 143', options, async () => {
  const run = startHoldfast(...RUN);
  const [, id = ''] = await run.says(/lab ([0-9a-f]{4}): /);
  await run.says(/all \d+ sessions run/);
  run.child.kill('SIGTERM');
  const { code, stderr } = await run.ended;
  assert.equal(code, 143, stderr);
  assert.match(stderr, /stopped by SIGTERM/);
  assert.deepEqual(namespacesOf(id), []);
});

test('Ctrl-C while the lab is being built removes it too', options, async () => {
  const run = startHoldfast(...RUN);
  const [, id = ''] = await run.says(/lab ([0-9a-f]{4}): /);
  await run.says(/starting BIRD/);
  run.child.kill('SIGINT');
  // The same wish once more, as a terminal and a parent process deliver it together.
  run.child.kill('SIGINT');
  const { code, stderr } = await run.ended;
  assert.equal(code, 130, stderr);
  assert.deepEqual(namespacesOf(id), []);
});

test(
  'a lab that stays up can be entered, is left alone by others, and goes down',
  options,
  async () => {
    const up = await holdfast('lab', 'up', '--server', 'nginx', '--pops', '2');
    assert.equal(up.code, 0, up.stderr);
    const [, id = ''] = /Lab ([0-9a-f]{4}) is up/.exec(up.stdout) ?? [];
    try {
      const inside = ['lab', 'shell', '--id', id];
      const route = await holdfast(...inside, 'router', '--', 'ip', 'route', 'get', '192.0.2.10');
      assert.match(route.stdout, /dev pop-a/);
      const world = await holdfast(...inside, 'client-1', '--', 'ip', 'route', 'get', '198.18.0.1');
      assert.match(world.stderr, /unreachable/);
      const asked = ['curl', '-s', 'http://192.0.2.10/health'];
      assert.equal((await holdfast(...inside, 'client-1', '--', ...asked)).stdout, 'ok\n');
      const wrong = await holdfast(...inside, 'pop-z');
      assert.equal(wrong.code, 2);
      assert.match(wrong.stderr, /no node "pop-z".*pop-a, pop-b/);
    } finally {
      const down = await holdfast('lab', 'down', '--id', id);
      assert.equal(down.code, 0, down.stderr);
    }
    assert.deepEqual(namespacesOf(id), []);
  },
);

test('a run writes its result as JSON and as a table', options, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-result-'));
  try {
    const file = join(directory, 'result.json');
    const counts = ['--downloads', '1', '--uploads', '0', '--websockets', '1', '--sse', '0'];
    const args = [
      'single-flip',
      '--server',
      'nginx',
      '--pops',
      '2',
      '--flip',
      'route',
      '--seed',
      '9',
    ];
    const flags = ['--duration', '6500ms', '--family', '6', '--json', file];
    const run = await holdfast('lab', 'run', ...args, ...counts, ...flags);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /all sessions +2 +0 +2 +0 +0/);
    const result = JSON.parse(readFileSync(file, 'utf8'));
    assert.deepEqual(
      [result.scenario, result.server, result.healing, result.family, result.seed, result.flips],
      ['single-flip', 'nginx', 'off', 6, 9, 1],
    );
    assert.deepEqual(result.sessions, {
      started: 2,
      survived: 0,
      reset: 2,
      stalled: 0,
      corrupt: 0,
    });
    for (const name of ['kernel', 'bird', 'server', 'curl']) assert.ok(result.versions[name], name);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
