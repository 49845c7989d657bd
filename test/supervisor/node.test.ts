import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, renameSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { ask, eventually, holdfast, NodeUnderTest, TestOrigin } from './node-under-test.ts';

interface Settings {
  readonly routes?: string;
  readonly workers?: number;
  readonly more?: string;
  readonly listen?: string;
}

function yaml(origin: string, settings: Settings = {}): string {
  return `listen: [${settings.listen ?? '"127.0.0.1:0"'}]
admin: 127.0.0.1:0
workers: ${settings.workers ?? 2}
drain: {deadlineMs: 4000, tunnelSpreadMs: 200}
${settings.more ?? ''}
sites:
  "*":
    routes:
${settings.routes ?? `      /*: ${origin}`}
`;
}

async function begin(t: TestContext, settings: (origin: string) => Settings = () => ({})) {
  const origin = new TestOrigin('one');
  const address = await origin.start();
  const node = new NodeUnderTest(yaml(address, settings(address)));
  t.after(async () => {
    await node.dispose();
    origin.stop();
  });
  await node.up();
  return { node, origin, address };
}

async function openSocket(node: NodeUnderTest, path = '/'): Promise<WebSocket> {
  const socket = new WebSocket(`${node.url.replace('http', 'ws')}${path}`);
  socket.on('error', () => undefined);
  await once(socket, 'open');
  return socket;
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  const reply = once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
  socket.send(text);
  return String((await reply)[0]);
}

test('a node serves, logs, tells its state and adds up what its workers count', async (t) => {
  const { node } = await begin(t);
  for (let i = 0; i < 10; i++) {
    assert.deepEqual(await ask(`${node.url}/path${i}`), { status: 200, text: `one /path${i}` });
  }
  const lines = await eventually('ten access lines', () =>
    node.accessLines.length === 10 ? node.accessLines : undefined,
  );
  assert.deepEqual(
    lines.map((line) => line.status),
    Array(10).fill(200),
  );
  const status = await node.status();
  assert.equal(status.state, 'running');
  assert.deepEqual(status.degraded, []);
  assert.deepEqual(
    status.workers.map(({ slot, state }) => [slot, state]),
    [
      [0, 'up'],
      [1, 'up'],
    ],
  );
  assert.equal(status.sites[0]?.routes[0]?.requests, 10);
  assert.equal(await node.metric('holdfast_requests_total{site="*",path="/*",status="2xx"}'), 10);
  assert.equal(await node.metric('holdfast_workers_up'), 2);
  assert.deepEqual(await ask(`${node.admin}/healthz`), { status: 200, text: 'ok\n' });
});

test('a HUP takes a new file over, and a stream whose route did not change goes on', async (t) => {
  const { node, address } = await begin(t, (at) => ({
    routes: `      /ws: ${at}\n      /*: ${at}`,
  }));
  const two = new TestOrigin('two');
  t.after(() => two.stop());
  const second = await two.start();
  const socket = await openSocket(node, '/ws');
  node.write(yaml(address, { routes: `      /ws: ${address}\n      /*: ${second}` }));
  node.signal('SIGHUP');
  await eventually('the new route', async () => (await ask(`${node.url}/`)).text.startsWith('two'));
  assert.equal(await echo(socket, 'still here'), 'one:still here');
  assert.deepEqual(node.logged('reloaded')[0]?.changes, ['changed route */*']);
  socket.close();
});

test('an invalid file is refused with its errors, and the old one stays', async (t) => {
  const { node, address } = await begin(t);
  node.write(yaml(address).replace('workers', 'wrokers').replace('routes:', 'routs:'));
  const refused = await holdfast(['reload', '--admin', node.admin.replace('http://', '')]);
  assert.equal(refused.code, 3);
  assert.match(
    refused.stderr,
    /holdfast\.yaml:3:1: unknown key "wrokers", did you mean "workers"\?/,
  );
  assert.match(refused.stderr, /:8:5: .*unknown key "routs", did you mean "routes"\?/);
  node.signal('SIGHUP');
  await eventually(
    'both refusals in the log',
    () => node.logged('reload refused, nothing changed').length === 2,
  );
  assert.equal((await ask(`${node.url}/`)).text, 'one /');
  assert.match((await node.status()).config.refused ?? '', /wrokers/);
  assert.equal(await node.metric('holdfast_reloads_total{result="refused"}'), 2);
  node.write(yaml(address));
  const accepted = await holdfast(['reload', '--admin', node.admin.replace('http://', '')]);
  assert.deepEqual([accepted.code, accepted.stdout], [0, 'reloaded, nothing changed\n']);
  assert.equal((await node.status()).config.refused, null);
});

test('a listener that cannot be opened is refused by all workers together', async (t) => {
  const { node, address } = await begin(t);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  node.write(
    yaml(address, { listen: `"127.0.0.1:0", "127.0.0.1:${port}"`, routes: '      /new: h:1' }),
  );
  const refused = await holdfast(['reload', '--admin', node.admin.replace('http://', '')]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /nothing was changed: cannot listen on .*another process listens/);
  for (let i = 0; i < 10; i++) assert.equal((await ask(`${node.url}/`)).status, 200);
  assert.equal((await node.status()).listeners.length, 1);
});

test('a worker that is killed is replaced, and sessions of others notice nothing', async (t) => {
  const { node } = await begin(t);
  const sockets = await Promise.all(Array.from({ length: 8 }, () => openSocket(node)));
  const before = await node.status();
  const busiest = before.workers.reduce((a, b) => (b.tunnels > a.tunnels ? b : a));
  const victim = before.workers.find((worker) => worker !== busiest);
  assert.ok(victim?.pid);
  const closed = new Set<WebSocket>();
  for (const socket of sockets) socket.on('close', () => closed.add(socket));
  const requests = 'holdfast_tunnels_total{site="*",path="/*"}';
  assert.equal(await node.metric(requests), 8);
  process.kill(victim.pid, 'SIGKILL');
  const replaced = await eventually('a replacement', async () => {
    const status = await node.status();
    const worker = status.workers[victim.slot];
    return worker?.state === 'up' && worker.pid !== victim.pid ? status : undefined;
  });
  assert.equal(replaced.workers[victim.slot]?.crashes, 1);
  assert.equal(node.logged('worker crashed, replacing it')[0]?.signal, 'SIGKILL');
  await eventually('the victim’s sessions to end', () => closed.size === victim.tunnels);
  const living = sockets.filter((socket) => !closed.has(socket));
  assert.equal(living.length, busiest.tunnels);
  for (const socket of living) assert.equal(await echo(socket, 'alive'), 'one:alive');
  // What the dead worker had counted is not lost, or the sum would go down.
  assert.equal(await node.metric(requests), 8);
  for (const socket of living) socket.terminate();
});

test('a TERM lets requests finish, closes WebSockets with 1012 and exits 0', async (t) => {
  const { node, origin } = await begin(t);
  const sockets = await Promise.all([openSocket(node), openSocket(node), openSocket(node)]);
  const codes = Promise.all(sockets.map(async (socket) => (await once(socket, 'close'))[0]));
  const slow = ask(`${node.url}/slow`);
  await eventually('the slow request at the origin', () => origin.waiting.length === 1);
  node.signal('SIGTERM');
  await eventually('no more connections', () => isRefused(node.url));
  assert.deepEqual(await ask(`${node.admin}/healthz`), { status: 503, text: 'draining\n' });
  assert.deepEqual(await codes, [1012, 1012, 1012]);
  const draining = await node.status();
  assert.deepEqual([draining.state, draining.requestsInFlight], ['draining', 1]);
  origin.waiting[0]?.end('at last');
  assert.deepEqual(await slow, { status: 200, text: 'at last' });
  assert.deepEqual(await node.exit, { code: 0, signal: null });
  assert.equal(node.logged('node is down')[0]?.cut, 0);
  const statuses = node.accessLines.map((line) => line.status);
  assert.equal(statuses.filter((status) => status === 101).length, 3, String(statuses));
  assert.ok(node.accessLines.some(({ target, status }) => target === '/slow' && status === 200));
});

test('Ctrl-C reaches the whole process group, and is still a clean stop', async (t) => {
  const { node, origin } = await begin(t);
  const socket = await openSocket(node);
  const closed = once(socket, 'close');
  const slow = ask(`${node.url}/slow`);
  await eventually('the slow request at the origin', () => origin.waiting.length === 1);
  node.signalGroup('SIGINT');
  assert.equal((await closed)[0], 1012);
  origin.waiting[0]?.end('at last');
  assert.deepEqual(await slow, { status: 200, text: 'at last' });
  assert.deepEqual(await node.exit, { code: 0, signal: null });
});

test('what still runs at the deadline is cut, and the exit code is still 0', async (t) => {
  const { node, origin } = await begin(t, () => ({ more: '' }));
  node.write(readFileSync(node.file, 'utf8').replace('deadlineMs: 4000', 'deadlineMs: 300'));
  node.signal('SIGHUP');
  await eventually('the reload', () => node.logged('reloaded').length === 1);
  const slow = ask(`${node.url}/slow`).then(
    () => 'answered',
    () => 'cut',
  );
  await eventually('the slow request at the origin', () => origin.waiting.length === 1);
  node.signal('SIGTERM');
  assert.equal(await slow, 'cut');
  assert.deepEqual(await node.exit, { code: 0, signal: null });
  assert.equal(node.logged('node is down')[0]?.cut, 1);
});

test('a second TERM ends at once with code 1', async (t) => {
  const { node, origin } = await begin(t);
  const slow = ask(`${node.url}/slow`).then(
    () => 'answered',
    () => 'cut',
  );
  await eventually('the slow request at the origin', () => origin.waiting.length === 1);
  node.signal('SIGTERM');
  await eventually('the drain', () => node.logged('node drains').length === 1);
  const beganMs = performance.now();
  node.signal('SIGTERM');
  assert.deepEqual(await node.exit, { code: 1, signal: null });
  assert.equal(await slow, 'cut');
  assert.ok(performance.now() - beganMs < 3_000, 'it did not wait for the deadline');
});

test('a TERM in the middle of the start ends in order', async (t) => {
  const node = new NodeUnderTest(yaml('127.0.0.1:9'));
  t.after(() => node.dispose());
  await eventually('the first worker', () => node.logged('worker is up').length > 0);
  node.signal('SIGTERM');
  assert.deepEqual(await node.exit, { code: 0, signal: null });
});

test('workers without a supervisor drain and end by themselves', async (t) => {
  const { node, origin } = await begin(t);
  const socket = await openSocket(node);
  const slow = ask(`${node.url}/slow`);
  await eventually('the slow request at the origin', () => origin.waiting.length === 1);
  const { workers } = await node.status();
  const closed = once(socket, 'close');
  node.signal('SIGKILL');
  assert.equal((await closed)[0], 1012);
  await eventually('no more connections', () => isRefused(node.url));
  origin.waiting[0]?.end('at last');
  assert.deepEqual(await slow, { status: 200, text: 'at last' });
  await eventually('the workers to end', () => workers.every(({ pid }) => !isAlive(pid ?? 0)));
});

test('a reload changes the number of workers and drains those that go', async (t) => {
  const { node, address } = await begin(t);
  const sockets = await Promise.all(Array.from({ length: 4 }, () => openSocket(node)));
  const codes = Promise.all(sockets.map(async (socket) => (await once(socket, 'close'))[0]));
  node.write(yaml(address, { workers: 3 }));
  node.signal('SIGHUP');
  await eventually('three workers', async () => {
    const { workers } = await node.status();
    return workers.length === 3 && workers.every(({ state }) => state === 'up');
  });
  node.write(yaml(address, { workers: 1 }));
  node.signal('SIGHUP');
  const status = await eventually('one worker', async () => {
    const now = await node.status();
    return now.workers.length === 1 ? now : undefined;
  });
  assert.equal(status.workers[0]?.crashes, 0);
  for (let i = 0; i < 5; i++) assert.equal((await ask(`${node.url}/`)).status, 200);
  // Those of retired workers were told to come again; those of the one that stayed go on.
  const left = status.workers[0]?.tunnels ?? 0;
  for (const socket of sockets) socket.close();
  assert.equal((await codes).filter((code) => code === 1012).length, 4 - left);
});

test('a worker that drains after a reload is not cut short when the node drains, too', async (t) => {
  const { node, origin, address } = await begin(t);
  const slow = Promise.all(Array.from({ length: 4 }, () => ask(`${node.url}/slow`)));
  await eventually('the slow requests at the origin', () => origin.waiting.length === 4);
  node.write(yaml(address, { workers: 1 }));
  node.signal('SIGHUP');
  await eventually('the retired worker', () => node.logged('worker leaves service').length === 1);
  node.signal('SIGTERM');
  await eventually('both', () => node.logged('worker leaves service').length === 2);
  for (const reply of origin.waiting) reply.end('at last');
  assert.deepEqual(
    (await slow).map(({ text }) => text),
    Array(4).fill('at last'),
  );
  assert.deepEqual(await node.exit, { code: 0, signal: null });
});

test('health checks run once for all workers, and a new worker knows their word', async (t) => {
  const check = 'health: {path: /health, intervalMs: 100, timeoutMs: 100, rise: 1, fall: 1}';
  const { node, origin } = await begin(t, (at) => ({
    routes: `      /*: {to: "${at}", ${check}}`,
  }));
  origin.healthy = false;
  await eventually('the refusal', async () => (await ask(`${node.url}/`)).status === 503);
  const degraded = await holdfast(['status', '--admin', node.admin.replace('http://', '')]);
  assert.equal(degraded.code, 5);
  assert.match(
    degraded.stdout,
    /degraded: origin http:\/\/127\.0\.0\.1:\d+ of \*\/\* is unhealthy/,
  );
  const { workers } = await node.status();
  for (const { pid } of workers) process.kill(pid ?? 0, 'SIGKILL');
  await eventually('two new workers', async () => {
    const now = (await node.status().catch(() => undefined))?.workers ?? [];
    return now.every(({ state, crashes }) => state === 'up' && crashes === 1);
  });
  // Port 0 may have become another port, as no worker was left to hold it.
  const [url = ''] = (await node.status()).listeners;
  assert.equal((await ask(url)).status, 503);
  origin.healthy = true;
  await eventually('the recovery', async () => (await ask(url)).status === 200);
  assert.equal((await holdfast(['status', '--admin', node.admin.replace('http://', '')])).code, 0);
});

test('an access log file is opened anew by a HUP, as logrotate expects', async (t) => {
  const { node } = await begin(t, () => ({ more: 'accessLog: {file: access.log}' }));
  const file = join(node.directory, 'access.log');
  const targets = (name: string) =>
    readFileSync(name, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { target: string }).target);
  await ask(`${node.url}/before`);
  await eventually('the first line', () => targets(file).length === 1);
  renameSync(file, `${file}.1`);
  node.signal('SIGHUP');
  await eventually('the new file', () => {
    try {
      return readFileSync(file) !== undefined;
    } catch {
      return false;
    }
  });
  await eventually('lines in the new file', async () => {
    await ask(`${node.url}/after`);
    return targets(file).includes('/after');
  });
  assert.deepEqual(
    targets(`${file}.1`).filter((target) => target !== '/after'),
    ['/before'],
  );
});

test('a node that cannot listen says which address and how to mend it, and exits 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const listen = ['run', '--to', '127.0.0.1:9', '--admin', 'off', '--listen', address];
  const refused = await holdfast(listen);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(`holdfast: cannot listen on http://${address}: another`));
  const admin = ['run', '--to', '127.0.0.1:9', '--listen', '127.0.0.1:0', '--admin', address];
  const adminRefused = await holdfast(admin);
  assert.equal(adminRefused.code, 1);
  assert.match(adminRefused.stderr, /\(admin\): another process listens there/);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isRefused(url: string): Promise<boolean> {
  return ask(`${url}/`).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  );
}
