/** The keyring between two processes of a node: as a text, as a file, and against the configuration. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { decodeKeyReport, encodeKeyReport } from '../../../src/proto/key-report.ts';
import { clusterKeyText } from '../../../src/sync/cluster-key.ts';
import { clusterKeyId } from '../../../src/sync/keyring.ts';
import { KeyringFile, KeyringFileError } from '../../../src/sync/keyring-file.ts';
import {
  parseRing,
  ringText,
  type StoredRing,
  startingRing,
} from '../../../src/sync/keyring-state.ts';
import { Mesh } from '../../../src/sync/mesh.ts';
import { MeshAdmin } from '../../../src/sync/mesh-admin.ts';
import { nodeCipher } from '../../../src/sync/node-cipher.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-keyring-'));
const meshes: Mesh[] = [];
after(async () => {
  await Promise.all(meshes.map((mesh) => mesh.close()));
  rmSync(directory, { recursive: true });
});

const secret = (byte: number) => new Uint8Array(32).fill(byte);
const id = (byte: number) => clusterKeyId(nodeCipher, secret(byte));
const ring = (keys: number[], retired: number[] = [], useVersion = 1): StoredRing => ({
  label: 'holdfast',
  secrets: keys.map(secret),
  useVersion,
  retired: retired.map(id),
});
/** First bytes of the keys, the used one first. */
const start = (configured: number[], stored: StoredRing | undefined) => {
  const found = startingRing(nodeCipher, configured.map(secret), stored);
  return [found.origin, found.secrets.map((key) => key[0]), found.useVersion] as const;
};

test('the stored ring goes before the configuration, unless that is entirely new', () => {
  assert.deepEqual(start([1, 2], undefined), ['configured', [1, 2], 0]);
  // Rotated over the wire from 1 to 2; the configuration still has 1.
  assert.deepEqual(start([1], ring([2], [1])), ['continued', [2], 1]);
  // It has both, or the new one.
  assert.deepEqual(start([1, 2], ring([2], [1])), ['continued', [2], 1]);
  assert.deepEqual(start([2], ring([2], [1])), ['continued', [2], 1]);
  // The next one was written down beside it; it is accepted, not used.
  assert.deepEqual(start([3, 2], ring([2, 5], [1])), ['continued', [2, 5, 3], 1]);
  // Every key is new: somebody may hold the old ones.
  assert.deepEqual(start([3], ring([2], [1])), ['replaced', [3], 0]);
  assert.deepEqual(start([3, 4], ring([2], [1])), ['replaced', [3, 4], 0]);
  const { dead, retired } = startingRing(nodeCipher, [secret(1)], ring([2], [1]));
  assert.deepEqual([dead, retired], [[id(1)], [id(1)]]);
});

test('a ring as a text has a fixed form, and no text makes its parser throw', () => {
  const stored = ring([1, 2], [3], 7);
  const text = ringText(stored);
  assert.deepEqual(JSON.parse(text), {
    format: 'holdfast keyring 1',
    label: 'holdfast',
    useVersion: 7,
    keys: [clusterKeyText(secret(1)), clusterKeyText(secret(2))],
    retired: [id(3).toString(16).padStart(8, '0')],
  });
  assert.deepEqual(parseRing(text), stored);
  for (const broken of [
    '',
    'null',
    '[]',
    text.replace('keyring 1', 'keyring 2'),
    text.replace('"useVersion": 7', '"useVersion": -1'),
    ringText(ring([])),
    ringText(ring(Array.from({ length: 9 }, (_, i) => i))),
    text.slice(0, -3),
  ]) {
    assert.equal(parseRing(broken), undefined, broken);
  }
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ maxLength: 3 }), (at, piece) => {
      parseRing(text.slice(0, at) + piece + text.slice(at + piece.length));
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      parseRing(JSON.stringify(value));
    }),
  );
});

test('a file is written whole, for its owner alone, and read again', async () => {
  const path = join(directory, 'deep', 'down', 'ring.json');
  const file = new KeyringFile(path, 'holdfast');
  assert.equal(file.read(), undefined);
  assert.equal(await file.obstacle(), undefined);
  assert.equal(file.state, 'empty');
  file.save(ring([1]));
  assert.equal(file.state, 'storing');
  file.save(ring([1, 2]));
  file.save(ring([2], [1], 2));
  await file.settled();
  assert.equal(file.state, 'stored');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(directory, 'deep')).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(join(directory, 'deep', 'down')), ['ring.json']);
  const again = new KeyringFile(path, 'holdfast');
  assert.deepEqual(again.read(), ring([2], [1], 2));
  assert.equal(again.state, 'stored');
  // What a crash left behind, readable by all, is not filled with keys.
  writeFileSync(`${path}.new`, 'half of', { mode: 0o644 });
  again.save(ring([3]));
  await again.settled();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(new KeyringFile(path, 'holdfast').read(), ring([3]));
});

test('a file that must not be used says why and how to mend it, and shows no key', () => {
  const path = join(directory, 'wrong.json');
  const refusal = (label = 'holdfast') => {
    try {
      new KeyringFile(path, label).read();
    } catch (error) {
      assert.ok(error instanceof KeyringFileError);
      assert.equal(error.code, 'ERR_KEYRING_FILE');
      assert.ok(!error.message.includes(clusterKeyText(secret(1)).slice(0, 20)));
      return error.message;
    }
    return '';
  };
  writeFileSync(path, ringText(ring([1])), { mode: 0o600 });
  assert.equal(refusal(), '');
  assert.match(refusal('other'), /is of the mesh "holdfast", not "other": set mesh\.keyring/);
  chmodSync(path, 0o640);
  assert.match(refusal(), /can be read by others \(mode 640\): chmod 600/);
  chmodSync(path, 0o600);
  writeFileSync(path, ringText(ring([1])).slice(0, 100));
  assert.match(refusal(), /is damaged: restore it, or remove it/);
  rmSync(path);
  mkdirSync(path);
  assert.match(refusal(), /is not a file of a keyring/);
});

test('where nothing can be stored, the error is kept and said', async () => {
  writeFileSync(join(directory, 'no-directory'), '');
  const file = new KeyringFile(join(directory, 'no-directory', 'ring'), 'holdfast');
  file.save(ring([1]));
  await file.settled();
  assert.equal(file.state, 'failed');
  assert.match(file.error ?? '', /ENOTDIR|EEXIST/);
  assert.match((await file.obstacle()) ?? '', /cannot be written to \(E[A-Z]+\)/);
});

test('golden: what a node says of its keys', () => {
  const report = {
    ask: 1,
    used: 0x01020304,
    ids: [0x01020304, 5],
    ticketEpoch: 300,
    storage: 'stored',
  } as const;
  const bytes = encodeKeyReport(report);
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '0d01000000' + '1504030201' + '1d04030201' + '1d05000000' + '20ac02' + '2801',
  );
  assert.deepEqual(decodeKeyReport(bytes), report);
  assert.equal(decodeKeyReport(Uint8Array.of(0x28, 99)), undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (random) => {
      decodeKeyReport(random);
    }),
    { numRuns: 2_000 },
  );
});

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 8_000;
  while (!holds()) {
    if (performance.now() > endMs) assert.fail(`not ${what} in time`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a node that was restarted with the old configuration is let in by its stored ring', async () => {
  const configured = [new Uint8Array(randomBytes(32))];
  const common = { keys: configured, listen: '127.0.0.1:0' };
  const begin = async (name: string, join_: string[], keyringFile?: string) => {
    const mesh = await Mesh.start({
      ...common,
      id: name,
      boot: 1,
      join: join_,
      ...(keyringFile === undefined ? {} : { keyringFile }),
    });
    meshes.push(mesh);
    return mesh;
  };
  const file = join(directory, 'b.json');
  const a = await begin('a', []);
  const b = await begin('b', [a.address], file);
  const admin = new MeshAdmin(a);
  await until('joined', () => a.peers.indices().length === 2 && b.peers.indices().length === 2);
  const [old] = admin.keys().keys;
  const { id: next } = admin.addKey(clusterKeyText(randomBytes(32)));
  await until('added', () => b.core.keyring.keys().length === 2);
  admin.useKey(next);
  admin.retireKey(old!.id);
  await until('retired', () => b.core.keyring.keys().length === 1);
  const report = await admin.keysOfAll(2_000);
  assert.deepEqual(
    report.nodes.map(({ id: name, keys, used, storage }) => [name, keys, used, storage]),
    [
      ['a', [next], next, 'nowhere'],
      ['b', [next], next, 'stored'],
    ],
  );
  assert.deepEqual(report.silent, []);
  assert.equal(readFileSync(file, 'utf8').includes(clusterKeyText(configured[0]!)), false);
  await b.close();

  const again = await begin('b', [a.address], file);
  assert.equal(again.startingRing.origin, 'continued');
  await until(
    'back',
    () => a.peers.get(a.peers.indexOf('b')!)!.run === again.core.membership.self.run,
  );
  assert.equal(again.core.membership.table.live().length, 2);

  // Without the file it stays outside: the test can fail.
  await again.close();
  const locked = await begin('c', [a.address]);
  const before = a.core.links.counters.wrongKey;
  await until('refused', () => a.core.links.counters.wrongKey > before);
  assert.equal(locked.peers.indices().length, 1);
});
