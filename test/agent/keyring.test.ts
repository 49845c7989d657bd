/** Cluster keys rotated over the wire, and nodes that restart with the configuration of before. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cleanEnv, eventually, holdfast, NodeUnderTest } from '../supervisor/node-under-test.ts';
import { MeshOfNodes } from './mesh-of-nodes.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));

/** `holdfast keys add` with a key on its standard input. */
async function addKey(admin: string, key: string): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, 'keys', 'add'], {
    env: { ...cleanEnv(), HOLDFAST_ADMIN: new URL(admin).host },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(key);
  return text(child.stdout);
}

describe('cluster keys', { timeout: 180_000 }, () => {
  let mesh: MeshOfNodes;
  let old: string;
  let next: string;

  before(async () => {
    mesh = new MeshOfNodes(`listen: ["http://127.0.0.1:0"]
sites: {"*": {routes: {"/*": {redirect: "https://b.example/"}}}}`);
    await mesh.reserve(['a', 'b', 'c']);
    await Promise.all(['a', 'b', 'c'].map((name) => mesh.start(name)));
    await mesh.together(3);
  });
  after(() => mesh?.close());

  test('are rotated over the wire on all nodes, and stored there', async () => {
    old = (await mesh.keys('a')).keys[0]!.id;
    const listed = await mesh.command('a', 'keys', 'list');
    assert.match(listed.stdout, new RegExp(`^\\* +${old} +all 3 +3 of 3$`, 'm'));
    assert.match(listed.stdout, /^stored: in the configuration only; changes go to .*a\.keyring$/m);

    const generated = (await holdfast(['keys', 'generate'])).stdout;
    const added = await addKey(mesh.node('a').admin, generated);
    next = /^add ([0-9a-f]{8}): done/.exec(added)![1]!;
    const everywhere = (
      what: string,
      holds: (node: { keys: readonly string[]; used: string }) => boolean,
    ) =>
      eventually(what, async () => {
        const { nodes } = await mesh.keys('b');
        return nodes.length === 3 && nodes.every(holds);
      });
    await everywhere('the new key', ({ keys }) => keys.includes(next));
    assert.equal((await mesh.command('b', 'keys', 'use', next)).code, 0);
    await everywhere('its use', ({ used }) => used === next);
    const retired = await mesh.command('c', 'keys', 'retire', old);
    assert.equal(retired.code, 0, retired.stderr);
    await everywhere('the end of the old one', ({ keys }) => !keys.includes(old));

    await eventually('all stored', async () => {
      const { nodes } = await mesh.keys('a');
      return nodes.every(({ storage }) => storage === 'stored');
    });
    const { stdout } = await mesh.command('b', 'keys', 'list');
    assert.match(stdout, new RegExp(`^\\* +${next} +all 3 +3 of 3$`, 'm'));
    assert.match(stdout, /^stored: .*\/b\.keyring$/m);
    for (const name of ['a', 'b', 'c']) {
      assert.equal(statSync(mesh.keyringOf(name)).mode & 0o777, 0o600);
      const stored = readFileSync(mesh.keyringOf(name), 'utf8');
      assert.ok(stored.includes(generated.trim()) && !stored.includes(mesh.key));
    }
    await eventually(
      'a word in the log',
      () => mesh.node('c').logged('the cluster keys changed and are stored').length > 0,
    );
  });

  test('let a node in again that was killed, although its configuration has the retired key', async () => {
    const { pid } = mesh.node('c');
    mesh.node('c').signal('SIGKILL');
    await mesh.node('c').exit;
    const back = await mesh.start('c');
    assert.notEqual(back.pid, pid);
    await mesh.together(3);
    const [warning] = await eventually('a word on the old key', () => {
      const lines = back.logged('mesh.keys has keys that were retired: take them out');
      return lines.length > 0 && lines;
    });
    assert.deepEqual(warning?.ids, [old]);
    const { keys, storage } = await mesh.keys('c');
    assert.deepEqual(keys, [{ id: next, used: true }]);
    assert.deepEqual(storage, { state: 'stored', file: mesh.keyringOf('c'), error: null });
  });

  test('of a node that lost its ring shut it out, and say so on neither side', async () => {
    mesh.node('c').signal('SIGKILL');
    await mesh.node('c').exit;
    rmSync(mesh.keyringOf('c'));
    await mesh.start('c');
    await eventually('hellos under the wrong key', async () => {
      const counted = await mesh.node('a').metric('holdfast_mesh_links_wrong_key_total');
      return counted > 0;
    });
    assert.equal((await mesh.nodes('c')).nodes.length, 1);
  });

  test('that must not be used stop the start, with the mend', async () => {
    const startOf = async (): Promise<string> => {
      const node = new NodeUnderTest(mesh.yaml('c'));
      const { code } = await node.exit;
      assert.equal(code, 1);
      await node.dispose();
      return node.stderr;
    };
    mesh.node('c').signal('SIGKILL');
    await mesh.node('c').exit;
    writeFileSync(mesh.keyringOf('c'), readFileSync(mesh.keyringOf('a')), { mode: 0o600 });
    chmodSync(mesh.keyringOf('c'), 0o644);
    assert.match(await startOf(), /c\.keyring can be read by others \(mode 644\): chmod 600 it/);
    writeFileSync(mesh.keyringOf('c'), '{');
    chmodSync(mesh.keyringOf('c'), 0o600);
    assert.match(await startOf(), /c\.keyring is damaged: restore it, or remove it/);
  });

  test('show with the nodes who runs another configuration than most', async () => {
    writeFileSync(mesh.keyringOf('c'), readFileSync(mesh.keyringOf('a')), { mode: 0o600 });
    const drifted = await mesh.start('c', { yaml: 'limits: {headMs: 9000}' });
    await mesh.together(3);
    const shown = await mesh.command('a', 'nodes');
    assert.equal(shown.code, 5, 'degraded');
    assert.match(shown.stdout, /^c +c +alive .* other config$/m);
    assert.equal(shown.stdout.match(/other config/g)?.length, 1);
    const status = await mesh.command('b', 'status');
    assert.match(status.stdout, /^degraded: c has another config than most$/m);

    drifted.write(mesh.yaml('c'));
    drifted.signal('SIGHUP');
    await eventually('all the same', async () => {
      const { code } = await mesh.command('a', 'nodes');
      return code === 0;
    });
  });
});
