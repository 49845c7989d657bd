import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Load } from './load.ts';
import { ask, eventually, NodeUnderTest, program, TestOrigin } from './node-under-test.ts';

function yaml(origin: string, more = ''): string {
  return `listen: ["127.0.0.1:0"]
admin: 127.0.0.1:0
workers: 2
drain: {deadlineMs: 4000, tunnelSpreadMs: 200}
${more}
sites: {"*": {routes: {/*: ${origin}}}}
`;
}

async function begin(t: TestContext, more = '') {
  const origin = new TestOrigin('one');
  const address = await origin.start();
  const node = new NodeUnderTest(yaml(address, more));
  t.after(async () => {
    await node.dispose();
    origin.stop();
  });
  await node.up();
  return { node, origin, address };
}

function loadOn(t: TestContext, node: NodeUnderTest): Load {
  const load = new Load(node.url);
  t.after(() => load.close());
  return load;
}

/** A release beside the running one: this checkout under another version, or another program. */
function release(t: TestContext, script = `import ${JSON.stringify(pathToFileURL(program))};`) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-release-'));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'bin'));
  const about = { name: 'holdfast', version: '9.9.9', type: 'module' };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(about));
  const file = join(directory, 'bin', 'holdfast.js');
  writeFileSync(file, script);
  return file;
}

const requests = 'holdfast_requests_total{site="*",path="/*",status="2xx"}';

test('an upgrade under load refuses no connection and breaks no session', async (t) => {
  const { node, origin } = await begin(t);
  const load = loadOn(t, node);
  await load.talk(12);
  load.ask({ fresh: 4, kept: 4 });
  const slow = ask(`${node.url}/slow`);
  await eventually('the slow request at the origin', () => origin.waiting.length === 1);
  const healthy = { asked: 0, failed: [] as unknown[] };
  let watching = true;
  // Many, since the moment in which the address changes hands is short.
  const watch = Array.from({ length: 6 }, async () => {
    while (watching) {
      await ask(`${node.admin}/healthz`).then(
        ({ status }) => status === 200 || healthy.failed.push(status),
        (error) => healthy.failed.push(error.code),
      );
      healthy.asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  await eventually('load', () => load.report.answered > 50 && load.report.echoed > 50);

  const before = await node.status();
  const upgraded = await node.command('upgrade', '--to', release(t));
  assert.deepEqual([upgraded.code, upgraded.stderr], [0, '']);
  assert.match(upgraded.stdout, /^upgraded: 0\.1\.0 to 9\.9\.9, pid \d+/);
  const { answered, echoed } = load.report;
  await eventually(
    'load on both releases',
    () => load.report.answered > answered + 50 && load.report.echoed > echoed + 50,
  );
  const after = await node.status();
  assert.notEqual(after.pid, before.pid);
  assert.equal(after.pid, node.mainPid);
  assert.equal(after.state, 'running');
  assert.deepEqual(after.listeners, before.listeners);
  // The sessions of before are where they were, and are told of.
  assert.equal(after.older.length, 1);
  assert.equal(after.older[0]?.pid, before.pid);
  assert.equal(after.older[0]?.tunnels, 12);
  assert.equal(after.tunnels, 12);
  origin.waiting[0]?.end('at last');
  assert.deepEqual(await slow, { status: 200, text: 'at last' });

  const report = await load.stop();
  watching = false;
  await Promise.all(watch);
  assert.deepEqual(report.failures, {});
  assert.deepEqual(healthy.failed, []);
  assert.ok(healthy.asked > 10);
  // Nothing is counted twice or lost: what the old release counted is in the sum, also when it is gone.
  const counted = () => node.metric(requests);
  assert.equal(await counted(), report.answered + 1);
  assert.equal(await node.metric('holdfast_tunnels_total{site="*",path="/*"}'), 12);
  assert.equal(await node.metric('holdfast_older_releases'), 1);
  assert.equal(await node.metric('holdfast_upgrades_total'), 1);
  load.close();
  await eventually('the old release to end', async () => (await node.status()).older.length === 0);
  assert.equal(await counted(), report.answered + 1);
  assert.equal(await node.metric('holdfast_tunnels_total{site="*",path="/*"}'), 12);
  assert.equal(await node.metric('holdfast_older_releases'), 0);
});

test('releases follow each other while all before them still have sessions', async (t) => {
  const { node } = await begin(t);
  const loads: Load[] = [];
  for (let generation = 0; generation < 3; generation++) {
    const load = loadOn(t, node);
    loads.push(load);
    await load.talk(3);
    if (generation === 2) break;
    node.signal('SIGUSR2');
    await eventually('the next release', async () => {
      const status = await node.status().catch(() => undefined);
      return status?.older.length === generation + 1;
    });
  }
  const status = await node.status();
  assert.deepEqual(
    status.older.map(({ tunnels }) => tunnels),
    [3, 3],
  );
  assert.equal(status.tunnels, 9);
  assert.equal(await node.metric('holdfast_tunnels_total{site="*",path="/*"}'), 9);
  assert.equal(await node.metric('holdfast_upgrades_total'), 2);
  const text = await node.command('status');
  assert.match(text.stdout, /^OLDER +PID +REPLACED/m);
  // The middle one ends first: the oldest is still told of.
  loads[1]?.close();
  await eventually('the middle one to end', async () => (await node.status()).older.length === 1);
  for (const load of loads) assert.deepEqual(load.report.failures, {});
  // A TERM ends all of them, in order.
  const codes = [loads[0], loads[2]].flatMap((load) =>
    (load?.sockets ?? []).map(async (socket) => (await once(socket, 'close'))[0]),
  );
  node.signal('SIGTERM');
  assert.deepEqual(await Promise.all(codes), Array(6).fill(1012));
  await node.exit;
});

const broken: [string, string, RegExp][] = [
  ['that ends at once', 'process.exit(7);', /ended with exit code 7 before it was ready/],
  [
    'that is not even a program',
    'import nonsense from "/nowhere";',
    /ended with exit code 1 before/,
  ],
  [
    'that never gets ready',
    'process.on("message", () => {}); setInterval(() => {}, 1000);',
    /was not ready within 1\.5 s \(upgrade\.readyMs\)/,
  ],
];

for (const [what, script, reason] of broken) {
  test(`a release ${what} changes nothing`, async (t) => {
    const { node } = await begin(t, 'upgrade: {readyMs: 1500}');
    const load = loadOn(t, node);
    await load.talk(4);
    load.ask({ fresh: 2, kept: 2 });
    const before = await node.status();
    const failed = await node.command('upgrade', '--to', release(t, script));
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^holdfast: nothing was changed: the new release/);
    assert.match(failed.stderr, reason);
    const after = await node.status();
    assert.deepEqual(
      [after.pid, after.workers.map(({ pid }) => pid), after.degraded],
      [before.pid, before.workers.map(({ pid }) => pid), []],
    );
    const { failures } = await load.stop();
    assert.deepEqual(failures, {});
    assert.equal(node.logged('upgrade failed, nothing changed').length, 1);
  });
}

test('a release that cannot use the configuration says why, and a later one can follow', async (t) => {
  const { node, address } = await begin(t);
  const load = loadOn(t, node);
  await load.talk(2);
  load.ask({ fresh: 2, kept: 0 });
  node.write(yaml(address).replace('workers', 'wrokers'));
  const invalid = await node.command('upgrade');
  assert.equal(invalid.code, 1);
  assert.match(invalid.stderr, /unknown key "wrokers", did you mean "workers"\?/);

  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  node.write(yaml(address).replace('"127.0.0.1:0"', `"127.0.0.1:0", "127.0.0.1:${port}"`));
  const refused = await node.command('upgrade');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /cannot listen on http:\/\/127\.0\.0\.1:\d+: another process/);

  taken.close();
  await once(taken, 'close');
  const upgraded = await node.command('upgrade');
  assert.deepEqual([upgraded.code, upgraded.stderr], [0, '']);
  const { listeners, pid } = await node.status();
  assert.equal(pid, node.mainPid);
  assert.equal((await ask(`http://127.0.0.1:${port}/`)).status, 200);
  assert.equal(listeners.length, 2);
  const { failures } = await load.stop();
  assert.deepEqual(failures, {});
});

test('what others could have changed is not started', async (t) => {
  const { node } = await begin(t);
  const file = release(t);
  chmodSync(file, 0o666);
  const refused = await node.command('upgrade', '--to', file);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /can be changed by others than root and the node's user/);
  const unknown = await node.command('upgrade', '--to', '/etc/passwd');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /not a release: name its bin\/holdfast\.js/);
  const missing = await node.command('upgrade', '--to', '/nowhere/bin/holdfast.js');
  assert.match(missing.stderr, /cannot be read \(ENOENT\)/);
  assert.equal((await node.status()).pid, node.pid);
});

test('with a deadline, what an old release still has is drained when it is over', async (t) => {
  const { node } = await begin(t, 'upgrade: {deadlineMs: 1500}');
  const load = loadOn(t, node);
  await load.talk(2);
  const codes = load.sockets.map(async (socket) => (await once(socket, 'close'))[0]);
  assert.equal((await node.command('upgrade')).code, 0);
  assert.equal((await node.status()).older[0]?.tunnels, 2);
  assert.deepEqual(await Promise.all(codes), [1012, 1012]);
  await eventually('its end', async () => (await node.status()).older.length === 0);
  assert.equal((await ask(`${node.url}/`)).status, 200);
});

test('an old release whose supervisor is killed takes no other with it', async (t) => {
  const { node } = await begin(t);
  const old = loadOn(t, node);
  await old.talk(2);
  assert.equal((await node.command('upgrade')).code, 0);
  const young = loadOn(t, node);
  await young.talk(2);
  await node.metric(requests);
  process.kill(node.pid, 'SIGKILL');
  await eventually('word of it', async () => (await node.status()).older.length === 0);
  young.ask({ fresh: 2, kept: 2 });
  await eventually('load', () => young.report.answered > 20);
  assert.deepEqual((await young.stop()).failures, {});
  assert.equal(await node.metric('holdfast_tunnels_total{site="*",path="/*"}'), 4);
  old.close();
});

test('while a release is on its way, the node neither reloads nor starts another', async (t) => {
  const { node } = await begin(t, 'upgrade: {readyMs: 5000}');
  const slow = release(t, 'process.on("message", () => {}); setInterval(() => {}, 1000);');
  const first = node.command('upgrade', '--to', slow);
  await eventually('the start', () => node.logged('upgrade: the next release starts').length === 1);
  const post = (path: string) => ask(`${node.admin}${path}`, { method: 'POST' });
  const [second, reload] = await Promise.all([post('/upgrade'), post('/reload')]);
  assert.deepEqual([second.status, reload.status], [409, 409]);
  assert.match(second.text, /an upgrade is under way already/);
  assert.match(reload.text, /an upgrade is under way: reload when it is done/);
  assert.equal((await first).code, 1);
  assert.equal((await post('/reload')).status, 200);
});
