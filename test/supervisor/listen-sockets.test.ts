import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { parseListener } from '../../src/config/listener.ts';
import { ListenSockets, socketName, type Wanted } from '../../src/supervisor/listen-sockets.ts';
import { Load } from './load.ts';
import { ask, eventually, NodeUnderTest, TestOrigin } from './node-under-test.ts';

const wanted = (text: string, purpose: Wanted['purpose'] = 'traffic'): Wanted => ({
  listener: parseListener(text, 80),
  purpose,
});

async function takenPort(t: TestContext): Promise<number> {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  return (taken.address() as AddressInfo).port;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

test('one that is taken is named, and none of the others stays open', async (t) => {
  const sockets = new ListenSockets();
  t.after(() => sockets.keep([]));
  const port = await takenPort(t);
  const both = [wanted('127.0.0.1:0'), wanted(`127.0.0.1:${port}`)];
  await assert.rejects(sockets.open(both), { code: 'ERR_LISTEN', message: /another process/ });
  assert.deepEqual(sockets.all, []);
  await assert.rejects(sockets.open([wanted(`127.0.0.1:${port}`, 'admin')]), {
    message: /\(admin\): another process listens there, maybe another holdfast/,
  });
  await assert.rejects(sockets.open([wanted('203.0.113.1:80')]), {
    message: /not on this machine/,
  });
});

test('what stays is the same socket, what goes is closed', async () => {
  const sockets = new ListenSockets();
  await sockets.open([wanted('http://127.0.0.1:0'), wanted('https://127.0.0.1:0')]);
  const [first] = sockets.all;
  await sockets.open([wanted('http://127.0.0.1:0'), wanted('[::1]:0')]);
  assert.deepEqual(sockets.keep([wanted('http://127.0.0.1:0')]), [
    'https://127.0.0.1:0',
    'http://[::1]:0',
  ]);
  assert.deepEqual(sockets.all, [first]);
  sockets.keep([]);
  assert.deepEqual(sockets.all, []);
});

test('TLS makes no other socket of an address, its spelling neither; the admin server has its own', () => {
  const name = (text: string) => socketName(parseListener(text, 80));
  assert.equal(name('https://192.0.2.10:443'), name('http://192.0.2.10:443'));
  assert.equal(name('[2001:db8:0:0::10]:443'), name('[2001:DB8::10]:443'));
  assert.equal(name(':443'), name('[::]:443'));
  assert.notEqual(name(':443'), name('0.0.0.0:443'));
  assert.notEqual(name('https://127.0.0.1:0'), name('http://127.0.0.1:0'));
  const listener = parseListener('127.0.0.1:80');
  assert.notEqual(socketName(listener), socketName(listener, 'admin'));
});

test('a descriptor that is no socket is refused', () => {
  assert.throws(() => new ListenSockets([{ fd: 9_999, name: undefined }]), {
    code: 'ERR_INHERITED_SOCKET',
  });
});

function yaml(origin: string, listen: readonly string[], workers = 2): string {
  return `listen: [${listen.map((each) => `"${each}"`).join(', ')}]
admin: 127.0.0.1:0
workers: ${workers}
drain: {deadlineMs: 4000, tunnelSpreadMs: 200}
sites: {"*": {routes: {/*: ${origin}}}}
`;
}

async function begin(t: TestContext, listen: readonly string[], workers?: number) {
  const origin = new TestOrigin('one');
  const address = await origin.start();
  const node = new NodeUnderTest(yaml(address, listen, workers));
  t.after(async () => {
    await node.dispose();
    origin.stop();
  });
  await node.up();
  const load = new Load(node.url);
  t.after(() => load.close());
  return { node, address, load };
}

test('a crash of the only worker refuses nobody: who comes then waits for the next', async (t) => {
  const { node, load } = await begin(t, ['127.0.0.1:0'], 1);
  const { workers } = await node.status();
  load.ask({ fresh: 4, kept: 0 });
  await eventually('load', () => load.report.answered > 20);
  process.kill(workers[0]?.pid ?? 0, 'SIGKILL');
  const { answered } = load.report;
  await eventually('answers again', () => load.report.answered > answered + 20);
  const { failures } = await load.stop();
  // Those that it had accepted are lost with it; each of the four asks one thing at a time.
  const {
    'fresh: ECONNRESET': reset = 0,
    'fresh: socket hang up': hungUp = 0,
    ...others
  } = failures;
  assert.deepEqual(others, {});
  assert.ok(reset + hungUp <= 4, JSON.stringify(failures));
  assert.equal((await node.status()).workers[0]?.crashes, 1);
});

test('a reload opens and closes listeners of running workers, and the others do not notice', async (t) => {
  const [second = 0, third = 0] = await freePorts(2);
  const stays = '127.0.0.1:0';
  const { node, address, load } = await begin(t, [stays, `127.0.0.1:${second}`]);
  await load.talk(6);
  load.ask({ fresh: 2, kept: 2 });
  const before = await node.status();
  assert.equal((await ask(`http://127.0.0.1:${second}/`)).status, 200);
  node.write(yaml(address, [stays, `127.0.0.1:${third}`]));
  assert.equal((await node.command('reload')).code, 0);
  assert.equal((await ask(`http://127.0.0.1:${third}/`)).status, 200);
  await assert.rejects(ask(`http://127.0.0.1:${second}/`), { code: 'ECONNREFUSED' });
  // And back: a worker needs the socket of an address again that it had let go of.
  node.write(yaml(address, [stays, `127.0.0.1:${second}`]));
  assert.equal((await node.command('reload')).code, 0);
  for (let i = 0; i < 8; i++) {
    assert.equal((await ask(`http://127.0.0.1:${second}/`)).status, 200);
  }
  const after = await node.status();
  assert.deepEqual(
    after.workers.map(({ pid }) => pid),
    before.workers.map(({ pid }) => pid),
  );
  assert.deepEqual((await load.stop()).failures, {});
  // A worker that starts now gets all of them.
  for (const { pid } of after.workers) process.kill(pid ?? 0, 'SIGKILL');
  assert.equal((await ask(`http://127.0.0.1:${second}/`)).status, 200);
  assert.equal((await ask(`${node.url}/`)).status, 200);
});
