import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  readDone,
  readGet,
  readGot,
  readPut,
  readTaken,
  writeDone,
  writeGet,
  writeGot,
  writePut,
  writeTaken,
} from '../../src/sync/session-message.ts';
import type { Session, SessionFound } from '../../src/sync/session-settings.ts';
import { SessionStore } from '../../src/sync/session-store.ts';
import { CHANNEL_SESSION_PUT } from '../../src/sync/sessions.ts';
import { type Node, settled, type World } from './directory-world.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (body: Uint8Array): string => Buffer.from(body).toString('hex');
const out = (node: Node) => node.world.outbox(node);

function put(node: Node, key: string, value: string, ttlMs = 60_000, above?: number) {
  return node.sessions.put(node.world.nowMs, key, bytes(value), ttlMs, out(node), above);
}

/** Asks and waits for the notice if there is none at once. */
function get(node: Node, key: string): Session | undefined {
  const now = node.sessions.get(node.world.nowMs, key, out(node));
  if (now !== undefined) return now ?? undefined;
  node.notices.length = 0;
  node.world.run(501);
  const notice = node.notices.find(({ type }) => type === 'sessionFound');
  assert.ok(notice !== undefined, 'a get ends within getMs');
  return (notice as SessionFound).session;
}

function text(session: Session | undefined): string | undefined {
  return session === undefined ? undefined : new TextDecoder().decode(session.value);
}

const rows = (world: World): number =>
  world.nodes.reduce(
    (sum, { sessions, up }) => sum + (up ? sessions.counters.sessionsKept! : 0),
    0,
  );

test('a record can be read at every node, also after its owner died', () => {
  const world = settled({ seed: 1, nodes: 6, weather: { loss: 0.1, delayMs: 10, jitterMs: 10 } });
  const owner = world.nodes[0]!;
  for (let i = 0; i < 30; i++) assert.equal(put(owner, `s${i}`, `value ${i}`), 1);
  world.run(3_000);
  for (const node of world.nodes) {
    for (let i = 0; i < 30; i += 7) {
      const session = get(node, `s${i}`);
      assert.equal(text(session), `value ${i}`, `${node.id} ${i}`);
      assert.equal(session!.owner, node === owner ? node.peers.self : node.indexOf(owner));
    }
  }
  world.kill(owner);
  world.tell(owner, 'dead');
  world.run(20_000);
  for (const node of world.nodes.slice(1)) assert.equal(text(get(node, 's3')), 'value 3');
});

test('a record that was never written, or was dropped, is not there', () => {
  const world = settled({ seed: 2, nodes: 5 });
  const [owner, reader] = world.nodes;
  assert.equal(get(reader!, 'nothing'), undefined);
  put(owner!, 'gone', 'x');
  world.run(200);
  assert.equal(text(get(reader!, 'gone')), 'x');
  assert.equal(owner!.sessions.drop(world.nowMs, 'gone', out(owner!)), true);
  assert.equal(get(owner!, 'gone'), undefined);
  world.run(200);
  for (const node of world.nodes) assert.equal(get(node, 'gone'), undefined);
});

test('a record expires at the owner and at the homes after its life, whatever their clocks', () => {
  const world = settled({ seed: 3, nodes: 4 });
  const [owner, reader] = world.nodes;
  put(owner!, 'short', 'x', 5_000);
  world.run(4_000);
  const left = get(reader!, 'short')!.ttlMs;
  assert.ok(left > 0 && left <= 1_010, `${left}`);
  world.run(1_100);
  for (const node of world.nodes) assert.equal(get(node, 'short'), undefined);
  world.run(3_000);
  assert.equal(rows(world), 0);
  assert.equal(owner!.sessions.counters.sessionsOwned, 0);
});

test('another node takes a session over with a higher version, and the old owner is told', () => {
  const world = settled({ seed: 4, nodes: 6 });
  const [first, second, third] = world.nodes;
  put(first!, 'cart', 'one');
  put(first!, 'cart', 'two');
  world.run(200);
  const read = get(second!, 'cart')!;
  assert.equal(read.version, 2);
  first!.notices.length = 0;
  assert.equal(put(second!, 'cart', 'three', 60_000, read.version + 1), 4);
  world.run(200);
  const told = () => first!.notices.filter(({ type }) => type === 'sessionTaken').length;
  assert.equal(told(), 1, 'at once, without writing');
  put(first!, 'cart', 'late');
  world.run(300);
  const session = get(third!, 'cart')!;
  assert.deepEqual([text(session), session.owner], ['three', third!.indexOf(second!)]);
  assert.equal(told(), 2, 'a write without reading is refused');
});

test('a former owner who was deaf when its session was taken over is told later', () => {
  const world = settled({ seed: 11, nodes: 6 });
  const [first, second] = world.nodes;
  put(first!, 'cart', 'one');
  world.run(200);
  world.lose = (_from, to) => to === first;
  assert.equal(put(second!, 'cart', 'two', 60_000, 1), 2);
  world.run(20_000);
  const told = () => first!.notices.filter(({ type }) => type === 'sessionTaken').length;
  assert.equal(told(), 0);
  world.lose = () => false;
  world.run(6_000);
  assert.equal(told(), 1);
  assert.equal(text(get(first!, 'cart')), 'two');
  const left = world.nodes.map(({ sessions }) => sessions.counters.sessionTellings);
  assert.deepEqual(left, [0, 0, 0, 0, 0, 0], 'it said that it heard');
});

test('of two nodes that write the same version at once, all homes keep the same one', () => {
  const world = settled({ seed: 5, nodes: 6, weather: { delayMs: 10, jitterMs: 30, loss: 0.1 } });
  for (let i = 0; i < 20; i++) {
    put(world.nodes[0]!, `k${i}`, 'a');
    put(world.nodes[1]!, `k${i}`, 'b');
  }
  world.run(1_000);
  for (let i = 0; i < 20; i++) {
    const seen = new Set(world.nodes.map((node) => text(get(node, `k${i}`))));
    assert.equal(seen.size, 1, `k${i}: ${[...seen].join()}`);
  }
});

test('new homes get the records when the table changes, and a restarted home gets them back', () => {
  const world = settled({ seed: 6, nodes: 6, weather: { loss: 0.1 } });
  const owner = world.nodes[0]!;
  for (let i = 0; i < 100; i++) put(owner, `s${i}`, 'x');
  world.run(1_500);
  const full = rows(world);
  const gone = world.nodes[3]!;
  world.kill(gone);
  world.tell(gone, 'left');
  world.run(8_000);
  assert.equal(rows(world) >= full - 60, true);
  for (const node of world.nodes.slice(1, 3)) {
    for (let i = 0; i < 100; i += 9) assert.equal(text(get(node, `s${i}`)), 'x');
  }
  const home = world.nodes[4]!;
  const kept = home.sessions.counters.sessionsKept!;
  assert.ok(kept > 20);
  world.kill(home);
  world.restart(home, false);
  world.run(8_000);
  assert.ok(home.sessions.counters.sessionsKept! >= kept * 0.9);
});

test('writes are paced: many records do not go out at once', () => {
  const world = settled({ seed: 7, nodes: 4, sessions: { putsPerSecond: 200 } });
  const before = world.sent.datagrams;
  for (let i = 0; i < 300; i++) put(world.nodes[0]!, `s${i}`, 'x');
  assert.ok(world.sent.datagrams - before <= 12);
  world.run(7_000);
  assert.equal(text(get(world.nodes[1]!, 's299')), 'x');
});

test('what is out of bounds is refused: keys, values, lives and too many records', () => {
  const world = settled({ seed: 8, nodes: 2, sessions: { ownMax: 2 } });
  const node = world.nodes[0]!;
  const { nowMs } = world;
  assert.equal(put(node, '', 'x'), undefined);
  assert.equal(put(node, 'é'.repeat(33), 'x'), undefined);
  assert.equal(put(node, 'k', 'x', 0), undefined);
  assert.equal(put(node, 'k', 'x', Number.NaN), undefined);
  assert.equal(node.sessions.put(nowMs, 'k', new Uint8Array(1_025), 1_000, out(node)), undefined);
  assert.equal(
    node.sessions.put(nowMs, 'k'.repeat(64), new Uint8Array(1_024), 1_000, out(node)),
    1,
  );
  assert.equal(put(node, 'b', 'x'), 1);
  assert.equal(put(node, 'c', 'x'), undefined);
  assert.equal(put(node, 'b', 'y'), 2);
  world.run(100);
  assert.equal(get(world.nodes[1]!, 'k'.repeat(64))?.value.length, 1_024);
});

test('a store keeps within its bounds and lets the oldest go', () => {
  const store = new SessionStore(10, 5_000);
  const record = (version: number, size = 10) => ({
    version,
    owner: { low: 1, high: 2 },
    value: new Uint8Array(size),
    expiresAtMs: 1_000,
    dropped: false,
  });
  for (let i = 0; i < 15; i++) store.put(0, `k${i}`, record(1));
  assert.equal(store.size, 10);
  assert.equal(store.get(0, 'k4'), undefined);
  assert.notEqual(store.get(0, 'k5'), undefined);
  assert.equal(store.evicted, 5);
  assert.equal(store.put(0, 'k14', record(0)), false);
  assert.equal(store.put(0, 'k14', record(1, 1_000)), true);
  assert.equal(store.put(0, 'k14', { ...record(1), owner: { low: 1, high: 1 } }), false);
  for (let i = 0; i < 8; i++) store.put(0, `big${i}`, record(1, 1_000));
  assert.ok(store.bytes <= 5_000);
  assert.equal([...Array(8).keys()].filter((i) => store.get(0, `big${i}`)).length, 4);
  store.sweep(1_000, 100);
  assert.deepEqual([store.size, store.bytes], [0, 0]);
});

test('golden: session messages', () => {
  const value = bytes('v');
  const message = { id: 1, version: 2, ttlMs: 3, dropped: true, key: 'k', value };
  assert.equal(
    hex(writePut(message)),
    '00000001' + '00000002' + '00000003' + '01' + '01' + '6b' + '76',
  );
  assert.deepEqual(readPut(writePut(message)), message);
  assert.equal(hex(writeDone(5, 'superseded')), '0000000501');
  assert.deepEqual(readDone(writeDone(5, 'kept')), { id: 5, outcome: 'kept' });
  assert.equal(hex(writeGet(9, 'né')), '000000096ec3a9');
  assert.deepEqual(readGet(writeGet(9, 'né')), { id: 9, key: 'né' });
  const got = { id: 1, known: true, dropped: false, version: 2, ttlMs: 3, low: -1, high: 4, value };
  assert.equal(
    hex(writeGot(got)),
    '00000001' + '01' + '00000002' + '00000003' + 'ffffffff' + '00000004' + '76',
  );
  assert.deepEqual(readGot(writeGot(got)), got);
  const taken = { version: 2, low: -1, high: 4, key: 'k' };
  assert.equal(hex(writeTaken(taken)), '00000002' + 'ffffffff' + '00000004' + '6b');
  assert.deepEqual(readTaken(writeTaken(taken)), taken);
});

test('no body makes the session part throw or lose its own records', () => {
  const world = settled({ seed: 9, nodes: 3 });
  const [node, peer] = world.nodes;
  put(node!, 'mine', 'x');
  world.run(500);
  const small = fc.array(fc.integer({ min: 0, max: 3 }), {
    minLength: 4,
    maxLength: 40,
    size: 'max',
  });
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 1_120 }),
    small.map((a) => new Uint8Array(a)),
  );
  fc.assert(
    fc.property(fc.integer({ min: 24, max: 29 }), body, (channel, raw) => {
      node!.handle({ type: 'frame', from: node!.indexOf(peer!), channel, body: raw.slice() });
    }),
    { numRuns: 3_000 },
  );
  world.run(500);
  assert.equal(text(get(node!, 'mine')), 'x');
  assert.ok(node!.sessions.counters.sessionBodiesMalformed! > 0);
});

test('a record is its own copy, also when the application or the wire hands in a Buffer', () => {
  const world = settled({ seed: 10, nodes: 2 });
  const [owner, home] = world.nodes;
  // `slice` of a Buffer is a view: what the caller does with it later would reach the record.
  const given = Buffer.from('before');
  assert.equal(owner!.sessions.put(world.nowMs, 'k', given, 60_000, out(owner!)), 1);
  given.fill('x');
  const own = owner!.sessions.get(world.nowMs, 'k', out(owner!))!;
  assert.equal(text(own), 'before');
  own.value.fill(0);
  assert.equal(text(get(owner!, 'k')), 'before');

  const message = { version: 1, ttlMs: 60_000, dropped: false, key: 'w', value: bytes('wire') };
  const body = Buffer.from(writePut({ id: 9, ...message }));
  const from = home!.indexOf(owner!);
  home!.handle({ type: 'frame', from, channel: CHANNEL_SESSION_PUT, body });
  body.fill(0);
  assert.equal(text(get(home!, 'w')), 'wire');
  const got = Buffer.from(
    writeGot({
      id: 1,
      known: true,
      dropped: false,
      version: 1,
      ttlMs: 1,
      low: 0,
      high: 0,
      value: bytes('v'),
    }),
  );
  const read = readGot(got)!;
  got.fill(0);
  assert.deepEqual(read.value, bytes('v'));
});
