/** What operators see and do: nodes, keys, over HTTP as the commands ask for it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { isDegraded, type NodesAnswer, nodesText } from '../../../src/cli/nodes.ts';
import { clusterKeyText, parseClusterKey, parseKeyId } from '../../../src/sync/cluster-key.ts';
import { Mesh } from '../../../src/sync/mesh.ts';
import { MeshAdmin } from '../../../src/sync/mesh-admin.ts';

const commands = fileURLToPath(new URL('./mesh-commands.ts', import.meta.url));
const meshes: Mesh[] = [];
const servers: Server[] = [];
after(async () => {
  for (const server of servers) server.close();
  await Promise.all(meshes.map((mesh) => mesh.close()));
});

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 8_000;
  while (!holds()) {
    if (performance.now() > endMs) assert.fail(`not ${what} in time`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function pair(): Promise<[MeshAdmin, MeshAdmin, Mesh, Mesh]> {
  const keys = [randomBytes(32)];
  const common = { keys, listen: '127.0.0.1:0', version: '0.1.0', configDigest: 5 };
  const a = await Mesh.start({ ...common, id: 'a', boot: 1 });
  meshes.push(a);
  const b = await Mesh.start({ ...common, id: 'b', boot: 0xbeef, pop: 'fra', join: [a.address] });
  meshes.push(b);
  await until('joined', () => a.peers.indices().length === 2 && b.peers.indices().length === 2);
  return [new MeshAdmin(a, () => 3), new MeshAdmin(b), a, b];
}

test('a node that drifted from the others is visible on all', async () => {
  const [a, b, , meshB] = await pair();
  assert.deepEqual(
    a.nodes().nodes.map(({ id, state, drift, tickets }) => ({ id, state, drift, tickets })),
    [
      { id: 'a', state: 'alive', drift: [], tickets: 3 },
      { id: 'b', state: 'alive', drift: [], tickets: 3 },
    ],
  );
  meshB.declare({ configDigest: 9, draining: true });
  await until('told', () => a.nodes().nodes[1]!.drift.length > 0);
  const [, seen] = a.nodes().nodes;
  assert.deepEqual(seen!.drift, ['config']);
  assert.equal(seen!.draining, true);
  assert.equal(seen!.boot, '0000beef');
  assert.equal(seen!.pop, 'fra');
  assert.deepEqual(
    b.nodes().nodes.map(({ drift }) => drift),
    [[], ['config']],
  );
  // The command's own description of the answer is that of the answer.
  const answer: NodesAnswer = a.nodes();
  assert.ok(isDegraded(answer));
  assert.match(nodesText(answer), /^b +fra +draining +127\.0\.0\.1:\d+ .*other config$/m);
  assert.match(nodesText(answer), /^a \* +a +alive /m);
});

test('the commands rotate a key through the admin server', async () => {
  const [a, b] = await pair();
  const server = createServer(async (asked, answer) => {
    const body = asked.method === 'POST' ? ((await json(asked)) as Record<string, string>) : {};
    const routes: Record<string, () => unknown> = {
      'GET /mesh/keys': () => a.keysOfAll(2_000),
      'GET /mesh/nodes': () => a.nodes(),
      'POST /mesh/keys/add': () => a.addKey(body.key!),
      'POST /mesh/keys/use': () => a.useKey(body.id!),
      'POST /mesh/keys/retire': () => a.retireKey(body.id!),
    };
    const handler = routes[`${asked.method} ${asked.url}`];
    answer.statusCode = handler === undefined ? 404 : 200;
    answer.end(JSON.stringify((await handler?.()) ?? { error: 'no such path' }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const admin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const run = async (args: string[], input = '') => {
    const environment = { ...process.env, HOLDFAST_ADMIN: admin };
    const child = spawn(process.execPath, [commands, ...args], { env: environment });
    child.stdin.end(input);
    const ended = new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? -1)));
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    return { code: await ended, out, err };
  };
  const old = a.keys().keys[0]!.id;
  const generated = (await run(['keys', 'generate'])).out;
  const added = await run(['keys', 'add'], generated);
  assert.equal(added.code, 0, added.err);
  const id = /add ([0-9a-f]{8}): done/.exec(added.out)![1]!;
  await until('added on b', () => b.keys().keys.length === 2);
  assert.equal((await run(['keys', 'retire', old])).code, 1);
  assert.equal((await run(['keys', 'use', id])).code, 0);
  await until('used on b', () => b.keys().keys.some((key) => key.id === id && key.used));
  assert.equal((await run(['keys', 'retire', old])).code, 0);
  await until('retired on b', () => b.keys().keys.length === 1);
  assert.match((await run(['keys', 'list'])).out, new RegExp(`\\* +${id} +all 2 +2 of 2`));
  assert.match((await run(['keys', 'use', 'zzz'])).err, /eight hexadecimal digits/);
  const nodes = await run(['nodes', '--json']);
  assert.equal(nodes.code, 0, nodes.err);
  assert.equal(JSON.parse(nodes.out).nodes.length, 2);
  assert.equal(b.clusterKeys().join(), generated.trim());
});

test('keys are read as they are written, and never repeated in errors', () => {
  const secret = new Uint8Array(randomBytes(32));
  assert.deepEqual(parseClusterKey(`${clusterKeyText(secret)}\n`), secret);
  assert.deepEqual(parseClusterKey(Buffer.from(secret).toString('hex')), secret);
  for (const wrong of ['', 'c2VjcmV0', `${clusterKeyText(secret)}x`]) {
    assert.throws(
      () => parseClusterKey(wrong),
      (error: Error) => /keys generate/.test(error.message) && !/c2Vj/.test(error.message),
    );
  }
  assert.equal(parseKeyId('0000beef'), 0xbeef);
  assert.equal(parseKeyId('beef'), undefined);
});

test('every counter of the mesh has a name and a number', async () => {
  const [a] = await pair();
  const counters = a.counters();
  assert.ok(counters.datagramsIn! > 0);
  assert.equal(counters.replayed, 0);
  for (const [name, value] of Object.entries(counters)) {
    assert.match(name, /^[a-z][A-Za-z]+$/);
    assert.ok(Number.isFinite(value), name);
  }
});
