/** Commands of an operator's own: real shell scripts, good, failing, hanging. No root needed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ExecDriver } from '../../src/announce/exec-driver.ts';
import { DriverProcess, until } from './bgp-stage.ts';

const CHILD = fileURLToPath(new URL('./driver-child.ts', import.meta.url));

describe('announcing by a command', { timeout: 60_000 }, () => {
  let directory: string;
  let log: string;
  const children: ChildProcess[] = [];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-exec-'));
    log = join(directory, 'log');
  });
  after(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  beforeEach(() => rmSync(log, { force: true }));

  const script = (name: string, text: string): string => {
    const file = join(directory, name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const logged = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  const options = (command: string[], deadManMs = 3_000) => ({
    command,
    timeoutMs: 500,
    deadManMs,
    node: 'node-1',
    pop: 'fra1',
    stateDirectory: directory,
  });
  const spawned = (command: string[], deadManMs?: number): DriverProcess => {
    const words = ['exec', options(command, deadManMs)];
    const child = spawn(process.execPath, [CHILD, JSON.stringify(words)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    return new DriverProcess(child);
  };

  test('it gets the state as its last argument, and the rest by its environment', async () => {
    const hook = script(
      'good',
      `echo "$1 $2 $HOLDFAST_STATE $HOLDFAST_NODE $HOLDFAST_POP $HOLDFAST_LEASE_S $HOLDFAST_REASON" >> ${log}`,
    );
    const driver = new ExecDriver(options([hook, 'first']));
    await driver.apply('degraded', 'no origin is healthy');
    assert.deepEqual(logged(), ['first degraded degraded node-1 fra1 3 no origin is healthy']);
    assert.equal((await driver.verify()).ok, true);
    assert.equal(await new ExecDriver(options([hook])).found(), 'degraded', 'the lease is found');
    await driver.close();
  });

  test('a command that fails is told with its last words', async () => {
    const hook = script('bad', 'echo first >&2; echo "no such neighbour" >&2; exit 3');
    const driver = new ExecDriver(options([hook]));
    await assert.rejects(driver.apply('up', ''), /bad up: exit code 3: no such neighbour/);
    const { ok, problem } = await driver.verify();
    assert.equal(ok, false);
    assert.match(problem, /exit code 3/);
    await driver.close();
  });

  test('a command that hangs is killed with everything it started', async () => {
    const hook = script('hangs', `sleep 30 & echo $! > ${log}; wait`);
    const driver = new ExecDriver(options([hook]));
    const startedMs = performance.now();
    await assert.rejects(driver.apply('up', ''), /took longer than 500 ms and was killed/);
    assert.ok(performance.now() - startedMs < 5_000);
    const sleeper = Number(logged()[0]);
    await until('the sleeper is gone', () => !isAlive(sleeper));
    await driver.close();
  });

  test('a command that is not there is told', async () => {
    const driver = new ExecDriver(options([join(directory, 'absent')]));
    await assert.rejects(driver.apply('up', ''), /cannot be run: .*ENOENT/);
    await driver.close();
  });

  test('when the agent is killed, it is told to withdraw after the dead-man time', async () => {
    const hook = script('dead-man', `echo $1 >> ${log}`);
    const driver = spawned([hook], 2_000);
    await driver.call('apply', 'up', '');
    await driver.kill();
    assert.deepEqual(logged(), ['up']);
    const killedMs = performance.now();
    await until('told to withdraw', () => logged().at(-1) === 'down');
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs > 1_000 && tookMs < 5_000, `it took ${tookMs} ms`);
  });

  test('a successor in time keeps the announcement: nothing is withdrawn', async () => {
    const hook = script('successor', `echo $1 >> ${log}`);
    const first = spawned([hook], 2_000);
    await first.call('apply', 'up', '');
    await first.kill();
    const second = spawned([hook], 2_000);
    assert.equal(await second.call('found'), 'up');
    await second.call('apply', 'up', '');
    // The first one's watcher wakes in this time.
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    assert.deepEqual(logged(), ['up', 'up']);
    await second.kill();
    await until('told to withdraw', () => logged().at(-1) === 'down');
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie waits for somebody who asks for its end.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
