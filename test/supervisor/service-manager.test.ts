import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { ServiceManager } from '../../src/supervisor/service-manager.ts';
import { eventually, NodeUnderTest, TestOrigin } from './node-under-test.ts';
import { ServiceManagerUnderTest, skipReason as skip } from './service-manager-under-test.ts';

const silent = pino({ level: 'silent' });

async function managerOf(t: TestContext, name?: string): Promise<ServiceManagerUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-notify-'));
  const manager = new ServiceManagerUnderTest(directory, name);
  t.after(() => {
    manager.stop();
    rmSync(directory, { recursive: true });
  });
  return manager.up();
}

test('each message is one datagram of this very process, by path and by abstract name', {
  skip,
}, async (t) => {
  for (const name of ['notify', `@holdfast-test-${process.pid}`]) {
    const manager = await managerOf(t, name);
    const service = new ServiceManager(manager.path, silent);
    service.ready('serves');
    service.reloading();
    service.stopping('going\nSTATUS=made up');
    service.mainProcess(4_711);
    service.watch(100, async () => true, '');
    await manager.hears('WATCHDOG=1');
    service.unwatch();
    assert.deepEqual(
      manager.told
        .slice(0, 5)
        .map(({ lines }) => lines.map((line) => line.replace(/USEC=\d+/, 'USEC=N'))),
      [
        ['READY=1', 'STATUS=serves'],
        ['RELOADING=1', 'MONOTONIC_USEC=N', 'STATUS=reloading'],
        // What comes from elsewhere adds no line of its own.
        ['STOPPING=1', 'STATUS=going STATUS=made up'],
        ['MAINPID=4711'],
        ['WATCHDOG=1'],
      ],
    );
    assert.ok(manager.told.every(({ pid }) => pid === process.pid));
  }
});

test('without a service manager, with an unreachable or an odd one, nothing happens', () => {
  for (const path of [undefined, '/nowhere/notify', 'vsock:2:1', `/${'x'.repeat(200)}`]) {
    const service = new ServiceManager(path, silent);
    service.ready('serves');
  }
});

test('a node tells its service manager of its start, reloads, upgrades and end', {
  skip,
}, async (t) => {
  const manager = await managerOf(t);
  const origin = new TestOrigin('one');
  const address = await origin.start();
  const yaml = `listen: ["127.0.0.1:0"]
admin: 127.0.0.1:0
workers: 1
sites: {"*": {routes: {/*: ${address}}}}
`;
  const node = new NodeUnderTest(yaml, [], {
    NOTIFY_SOCKET: manager.path,
    WATCHDOG_USEC: '2000000',
  });
  t.after(async () => {
    await node.dispose();
    origin.stop();
  });
  await node.up();
  const ready = await manager.hears('READY=1');
  assert.equal(ready.pid, node.pid);
  assert.match(ready.lines[1] ?? '', /^STATUS=node .* serves http:\/\/127\.0\.0\.1:\d+$/);
  await eventually('three signs of life', () => manager.with('WATCHDOG=1').length >= 3);

  node.signal('SIGHUP');
  await manager.hears('RELOADING=1');
  await eventually('the end of the reload', () => manager.with('READY=1').length === 2);

  assert.equal((await node.command('upgrade')).code, 0);
  const moved = await manager.hears('MAINPID=');
  assert.deepEqual([moved.pid, moved.lines], [node.pid, [`MAINPID=${node.mainPid}`]]);
  await eventually('the next release', () => manager.with('READY=1').length === 3);
  const last = manager.with('READY=1').at(-1);
  assert.equal(last?.pid, node.mainPid);
  assert.ok(manager.told.indexOf(moved) < manager.told.indexOf(last!), 'the main process first');
  const own = () => manager.with('WATCHDOG=1').filter(({ pid }) => pid === node.mainPid);
  await eventually('its signs of life', () => own().length >= 2);

  // A worker that is stuck is no life, however well the supervisor is.
  const [worker] = (await node.status()).workers;
  process.kill(worker?.pid ?? 0, 'SIGSTOP');
  await manager.hears('STATUS=no worker answers');
  const before = own().length;
  await eventually('more of it', () => manager.with('STATUS=no worker answers').length >= 3);
  assert.equal(own().length, before);
  process.kill(worker?.pid ?? 0, 'SIGCONT');
  await eventually('life again', () => own().length > before);

  node.signal('SIGTERM');
  const stopping = await manager.hears('STOPPING=1');
  assert.equal(stopping.pid, node.mainPid);
});
