/** The mesh on real sockets of this machine's loopback. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import type { MeshNotice } from '../../../src/sync/core.ts';
import type { TicketKeysNotice } from '../../../src/sync/key-store.ts';
import { clusterKeyId } from '../../../src/sync/keyring.ts';
import { Mesh, MeshListenError, type MeshOptions } from '../../../src/sync/mesh.ts';
import { identityFromSeed, nodeCipher } from '../../../src/sync/node-cipher.ts';

const open: Mesh[] = [];
after(async () => {
  await Promise.all(open.map((mesh) => mesh.close()));
});

const key = randomBytes(32);
/** As in production, but everything five times as often. */
const settings = { probeIntervalMs: 200, directTimeoutMaxMs: 150, indirectTimeoutMs: 150 };

async function start(id: string, options: Partial<MeshOptions> = {}): Promise<Mesh> {
  const mesh = await Mesh.start({
    id,
    listen: '127.0.0.1:0',
    keys: [key],
    boot: 1 + Math.floor(Math.random() * 1e9),
    settings,
    keySettings: {
      compareIntervalMs: 200,
      settleMs: 300,
      ticketKeyMs: 1_500,
      ticketKeyLeadMs: 400,
    },
    ...options,
  });
  open.push(mesh);
  return mesh;
}

async function until(what: string, holds: () => boolean, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > endMs) assert.fail(`after ${limitMs} ms: not ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const status = (mesh: Mesh, id: string) => mesh.peers.get(mesh.peers.indexOf(id) ?? -1)?.status;

test('three nodes find each other, notice a crash, a return and a good-bye', async () => {
  const a = await start('a');
  const b = await start('b', { join: [a.address] });
  let c = await start('c', { join: [a.address] });
  const all = () => [a, b, c];
  await until('all alive', () =>
    all().every((mesh) => ['a', 'b', 'c'].every((id) => status(mesh, id) === 'alive')),
  );
  const { port } = new URL(`http://${c.address}`);
  const boot = c.core.membership.self.boot;
  await c.close();
  await until('c dead', () => status(a, 'c') === 'dead' && status(b, 'c') === 'dead');
  c = await start('c', { listen: `127.0.0.1:${port}`, join: [a.address], boot });
  await until('c back', () => status(a, 'c') === 'alive' && status(b, 'c') === 'alive');
  assert.equal(a.peers.get(a.peers.indexOf('c')!)!.boot, boot);
  assert.equal(a.peers.get(a.peers.indexOf('c')!)!.run, c.core.membership.self.run);
  await c.leave();
  await until('c left', () => status(a, 'c') === 'left' && status(b, 'c') === 'left');
});

test('cluster keys rotate on every node, and nobody is lost meanwhile', async () => {
  const a = await start('a');
  const b = await start('b', { join: [a.address] });
  const c = await start('c', { join: [b.address] });
  const all = [a, b, c];
  await until('all alive', () =>
    all.every((mesh) => ['a', 'b', 'c'].every((id) => status(mesh, id) === 'alive')),
  );
  const lost: string[] = [];
  const watch = setInterval(() => {
    for (const mesh of all) {
      for (const id of ['a', 'b', 'c']) if (status(mesh, id) !== 'alive') lost.push(id);
    }
  }, 10);
  const next = randomBytes(32);
  const id = clusterKeyId(nodeCipher, next);
  const old = clusterKeyId(nodeCipher, key);
  assert.equal(
    a.act((nowMs, out) => a.keys.add(nowMs, next, out)),
    'done',
  );
  await until('added', () => all.every((mesh) => mesh.core.keyring.get(id) !== undefined));
  assert.equal(
    b.act((nowMs, out) => b.keys.use(nowMs, id, out)),
    'done',
  );
  await until('used', () => all.every((mesh) => mesh.core.keyring.used.id === id));
  assert.equal(
    c.act((nowMs, out) => c.keys.retire(nowMs, old, out)),
    'done',
  );
  await until('retired', () => all.every((mesh) => mesh.core.keyring.get(old) === undefined));
  assert.equal(
    a.act((nowMs, out) => a.keys.add(nowMs, key, out)),
    'retired',
  );
  const stranger = await start('d', { join: [a.address] });
  const newcomer = await start('e', { join: [a.address], keys: [next] });
  await until('newcomer in', () => all.every((mesh) => status(mesh, 'e') === 'alive'));
  assert.equal(stranger.peers.indices().length, 1);
  assert.ok(a.core.links.counters.wrongKey > 0);
  clearInterval(watch);
  assert.deepEqual(lost, []);
  await newcomer.close();
});

test('TLS ticket keys change over on all nodes together', async () => {
  const seen = new Map<string, string[]>([
    ['a', []],
    ['b', []],
    ['c', []],
  ]);
  const note = (id: string) => (notice: MeshNotice) => {
    if (notice.type !== 'ticketKeys') return;
    const { epoch, secrets } = notice as TicketKeysNotice;
    const key = `${epoch}:${Buffer.from(secrets[0]!).toString('hex')}`;
    // A notice comes for each change: also when a key to come is told, or an old one is forgotten.
    if (seen.get(id)!.at(-1) !== key) seen.get(id)!.push(key);
  };
  const a = await start('a', { onNotice: note('a') });
  await start('b', { join: [a.address], onNotice: note('b') });
  await start('c', { join: [a.address], onNotice: note('c') });
  await until('three keys everywhere', () => [...seen.values()].every((keys) => keys.length >= 3));
  const last = [...seen.values()].map((keys) => keys.slice(1, 3).join(' '));
  assert.equal(new Set(last).size, 1);
  assert.equal(seen.get('a')![2]!.split(':')[1]!.length, 96);
});

test('streams carry messages of every size, in order, both ways', async () => {
  const got: string[] = [];
  const echo = (channel: number) => ({
    channels: [channel],
    counters: {},
    handle(_now: number, event: { type: string; body?: Uint8Array; from?: number }) {
      if (event.type === 'stream') got.push(`${event.body!.length}:${event.body![0]}`);
    },
    nextWakeupMs: () => undefined,
  });
  const a = await start('a', { components: () => [echo(40)] });
  const b = await start('b', { join: [a.address], components: () => [echo(40)] });
  await until('joined', () => status(a, 'b') === 'alive' && status(b, 'a') === 'alive');
  const sizes = [1, 100, 70_000, 262_144, 5];
  sizes.forEach((size, i) => {
    const body = new Uint8Array(size).fill(i);
    assert.ok(b.act((_now, out) => out.stream(b.peers.indexOf('a')!, 40, body)));
  });
  await until('all arrived', () => got.length === sizes.length);
  assert.deepEqual(
    got,
    sizes.map((size, i) => `${size}:${i}`),
  );
  assert.equal(
    b.act((_now, out) => out.stream(b.peers.indexOf('a')!, 40, new Uint8Array(262_145))),
    false,
  );
});

test('a node whose name is listed with an identity must prove it', async () => {
  const seeds = { a: randomBytes(32), b: randomBytes(32) };
  const identities = new Map(
    Object.entries(seeds).map(([id, seed]) => [id, identityFromSeed(seed).publicKey]),
  );
  const a = await start('a', { identity: identityFromSeed(seeds.a), identities });
  const join = [a.address];
  const thief = await start('b', { join, identity: identityFromSeed(seeds.a), identities });
  const anonymous = await start('b', { join });
  const unlisted = await start('x', { join, identity: identityFromSeed(randomBytes(32)) });
  await until('three refused', () => a.core.links.counters.wrongIdentity >= 3);
  assert.equal(a.peers.indices().length, 1);
  await Promise.all([thief.close(), anonymous.close(), unlisted.close()]);
  const b = await start('b', { join, identity: identityFromSeed(seeds.b), identities });
  await until('the true one in', () => status(a, 'b') === 'alive' && status(b, 'a') === 'alive');
});

test('garbage on the sockets is counted and changes nothing', async () => {
  const a = await start('a');
  const port = Number(a.address.split(':')[1]);
  const udp = createSocket('udp4');
  for (let i = 0; i < 50; i += 1) udp.send(randomBytes(1 + i * 24), port, '127.0.0.1');
  const tcp = connect(port, '127.0.0.1');
  tcp.on('error', () => {});
  tcp.write(randomBytes(2_000));
  const oversized = createSocket('udp4');
  oversized.send(Buffer.alloc(4_000), port, '127.0.0.1');
  await until('counted', () => {
    const { datagramsIn, oversized: large } = a.core.links.counters;
    return datagramsIn >= 51 && large >= 1 && a.streams.counters.refused >= 1;
  });
  udp.close();
  oversized.close();
  tcp.destroy();
  assert.equal(a.peers.indices().length, 1);
  assert.equal(a.core.links.sessions, 0);
});

test('an address that is taken or malformed says so', async () => {
  const a = await start('a');
  await assert.rejects(start('b', { listen: a.address }), MeshListenError);
  await assert.rejects(start('b', { listen: 'localhost:1' }), /not an IP address with a port/);
});
