/** What an outsider can send: each datagram is counted once, by its own name, and changes nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HELLO_BYTES } from '../../../src/proto/envelope.ts';
import type { LinkCounters } from '../../../src/sync/links.ts';
import type { MeshCore } from '../../../src/sync/mesh-core.ts';
import { Pair, type Parcel, SECRET } from './pair.ts';

const A = '192.0.2.1:7946';
const MALLORY = '203.0.113.66:666';

function joined(): { pair: Pair; a: MeshCore; b: MeshCore } {
  const pair = new Pair();
  const a = pair.add('a');
  const b = pair.add('b', { seeds: [A] });
  pair.run(3_000);
  assert.equal(a.peers.indices().length, 2);
  return { pair, a, b };
}

/** All that could change by a datagram, but for the counters. */
function stateOf(core: MeshCore): string {
  const { membership, links } = core;
  const members = membership.table.entries().map(({ member, roundTrip }) => [member, roundTrip]);
  return JSON.stringify([
    members,
    membership.table.digest(),
    membership.gossip.size,
    membership.awareness.score,
    membership.counters,
    core.counters,
    links.sessions,
    core.nextWakeupMs(),
  ]);
}

const TRAFFIC: readonly (keyof LinkCounters)[] = ['datagramsIn', 'bytesIn'];

/** Gives `a` one datagram and says which counters it raised. */
function counted(pair: Pair, core: MeshCore, bytes: Uint8Array): string[] {
  const state = stateOf(core);
  const before = { ...core.links.counters };
  const sent = pair.wire.length;
  core.receive(pair.nowMs, bytes, MALLORY);
  assert.equal(stateOf(core), state, 'a hostile datagram changed something');
  assert.equal(pair.wire.length, sent, 'a hostile datagram was answered');
  const raised: string[] = [];
  for (const name of Object.keys(before) as (keyof LinkCounters)[]) {
    if (TRAFFIC.includes(name)) continue;
    const by = core.links.counters[name] - before[name];
    for (let i = 0; i < by; i += 1) raised.push(name);
  }
  return raised;
}

const toA = (pair: Pair, kind: number): Parcel[] =>
  pair.wire.filter(({ to, bytes }) => to === A && bytes[1] === kind);

test('each kind of hostile datagram has its counter', () => {
  const { pair, a } = joined();
  const data = toA(pair, 3).at(-1)!.bytes;
  const changed = (at: number, by = 1, from = data) => {
    const bytes = Uint8Array.from(from);
    bytes[at]! ^= by;
    return bytes;
  };
  assert.deepEqual(counted(pair, a, data), ['replayed']);
  assert.deepEqual(counted(pair, a, changed(0)), ['unknownVersion']);
  assert.deepEqual(counted(pair, a, changed(1, 64)), ['unknownKind']);
  assert.deepEqual(counted(pair, a, changed(3)), ['foreignLabel']);
  assert.deepEqual(counted(pair, a, changed(7)), ['unknownSession']);
  assert.deepEqual(counted(pair, a, changed(12, 1)), ['forged']);
  // A new counter, so that no replay is suspected, but sealed by nobody.
  const fresh = changed(13, 1);
  for (const at of [16, fresh.length - 1]) {
    assert.deepEqual(counted(pair, a, changed(at, 1, fresh)), ['forged']);
  }
  assert.deepEqual(counted(pair, a, data.subarray(0, 31)), ['truncated']);
  assert.deepEqual(counted(pair, a, new Uint8Array(0)), ['truncated']);
  assert.deepEqual(counted(pair, a, fresh.subarray(0, fresh.length - 1)), ['forged']);
  const long = new Uint8Array(1_201);
  long.set(data);
  assert.deepEqual(counted(pair, a, long), ['oversized']);
});

test('a hello under another key, changed, cut or padded gets no answer', () => {
  const { pair, a } = joined();
  const [hello] = toA(pair, 1).map(({ bytes }) => bytes);
  const stranger = new Pair();
  stranger.add('x', { secrets: [new Uint8Array(32).fill(2)] });
  stranger.add('y', { secrets: [new Uint8Array(32).fill(2)], seeds: [A] });
  stranger.run(10);
  assert.deepEqual(counted(pair, a, toA(stranger, 1)[0]!.bytes), ['wrongKey']);
  for (const at of [15, 16, 47, 48, HELLO_BYTES - 1]) {
    const bytes = Uint8Array.from(hello!);
    bytes[at]! ^= 1;
    assert.deepEqual(counted(pair, a, bytes), ['wrongKey'], `byte ${at}`);
  }
  assert.deepEqual(counted(pair, a, hello!.subarray(0, HELLO_BYTES - 1)), ['malformed']);
});

test('a cluster with another label never gets in, even with the same key', () => {
  const pair = new Pair();
  const a = pair.add('a');
  const b = pair.add('b', { label: 'other', seeds: [A] });
  pair.run(20_000);
  assert.equal(a.peers.indices().length, 1);
  assert.equal(b.peers.indices().length, 1);
  assert.ok(a.links.counters.foreignLabel > 0);
});

test('a hello that is sent again makes no member, no message and at most one answer each', () => {
  const pair = new Pair();
  const a = pair.add('a');
  pair.add('b', { seeds: [A] });
  // Everything towards a is recorded; nothing of it arrives.
  pair.passes = ({ to }) => to !== A;
  pair.run(600);
  const hellos = toA(pair, 1).map(({ bytes }) => bytes);
  assert.ok(hellos.length >= 2);
  const bytesIn = hellos[0]!.length;
  for (let i = 0; i < 100; i += 1) {
    const sent = pair.wire.length;
    a.receive(pair.nowMs, hellos[i % hellos.length]!, MALLORY);
    const answers = pair.wire.slice(sent);
    assert.ok(answers.length <= 1);
    assert.ok(answers.every(({ bytes }) => bytes.length <= bytesIn));
  }
  assert.equal(a.peers.indices().length, 1);
  assert.ok(a.links.sessions <= 1);
});

test('however many hellos a key holder sends, what is kept is bounded', () => {
  const pair = new Pair();
  const a = pair.add('a');
  // Each restart of the caller makes a hello of its own.
  for (let i = 0; i < 40; i += 1) {
    const other = new Pair();
    other.add('x');
    other.add('caller', { seeds: [A] });
    other.run(2);
    for (const { bytes } of toA(other, 1)) a.receive(pair.nowMs, bytes, MALLORY);
  }
  assert.ok(a.links.sessions <= 4, `${a.links.sessions} sessions`);
  pair.run(80_000);
  assert.equal(a.links.sessions, 0);
});

test('every datagram is accepted once, in any order', () => {
  const { pair, a } = joined();
  const all = toA(pair, 3).map(({ bytes }) => bytes);
  const before = a.links.counters.replayed;
  for (const bytes of [...all].reverse()) a.receive(pair.nowMs, bytes, MALLORY);
  // What is older than the window or seen counts as replayed; nothing gets through.
  assert.equal(a.links.counters.replayed - before, all.length);
});

test('random and mutated datagrams change nothing', () => {
  const { pair, a } = joined();
  const good = [...toA(pair, 1), ...toA(pair, 2), ...toA(pair, 3)].map(({ bytes }) => bytes);
  const mutated = fc
    .record({
      base: fc.constantFrom(...good),
      changes: fc.array(fc.tuple(fc.nat(1_199), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 3,
      }),
      cut: fc.option(fc.nat(1_200), { nil: undefined }),
    })
    .map(({ base, changes, cut }) => {
      const bytes = Uint8Array.from(base.subarray(0, cut ?? base.length));
      for (const [at, by] of changes) if (bytes.length > 0) bytes[at % bytes.length]! ^= by;
      return bytes;
    });
  const isOriginal = (bytes: Uint8Array) =>
    good.some((one) => Buffer.from(one).equals(Buffer.from(bytes)));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 1_300 }), mutated), (bytes) => {
      if (isOriginal(bytes)) return;
      assert.equal(counted(pair, a, bytes).length, 1);
    }),
    { numRuns: 3_000 },
  );
});

test('a key that is not 32 bytes long says how to make one', () => {
  const pair = new Pair();
  assert.throws(() => pair.add('a', { secrets: [SECRET.subarray(1)] }), /holdfast keys generate/);
});
