import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PacketWriter, readPacket } from '../../../src/proto/packet.ts';
import { GossipQueue } from '../../../src/sync/gossip-queue.ts';
import { clusterKeyId, Keyring } from '../../../src/sync/keyring.ts';
import { nodeCipher } from '../../../src/sync/node-cipher.ts';
import { Random } from '../../../src/sync/random.ts';
import { ReplayWindow } from '../../../src/sync/replay-window.ts';
import { RoundTrip } from '../../../src/sync/round-trip.ts';
import { parseSocketAddress, socketAddressText } from '../../../src/sync/socket-address.ts';
import { Suspicion, suspicionMinMs } from '../../../src/sync/suspicion.ts';

test('a replay window accepts each counter once and nothing older than itself', () => {
  const model = (counters: number[]) => {
    const window = new ReplayWindow();
    const seen = new Set<number>();
    let newest = -1;
    for (const counter of counters) {
      const expected = !seen.has(counter) && (counter > newest || newest - counter < 1_024);
      assert.equal(window.isNew(counter), expected, `${counter} after ${newest}`);
      if (!expected) continue;
      window.mark(counter);
      seen.add(counter);
      newest = Math.max(newest, counter);
    }
  };
  fc.assert(fc.property(fc.array(fc.nat(3_000), { maxLength: 200 }), model));
  model([0, 1_023, 1, 1_024, 0, 1, 2 ** 40, 2 ** 40 - 1_023, 2 ** 40 - 1_024]);
});

test('a suspicion shrinks with independent confirmations and never below its shortest', () => {
  const suspicion = new Suspicion(0, 'a', 1_000, 6_000, 3);
  assert.equal(suspicion.endMs, 6_000);
  assert.equal(suspicion.confirm('a'), false);
  assert.ok(suspicion.confirm('b'));
  assert.equal(suspicion.endMs, 3_500);
  assert.ok(suspicion.confirm('c'));
  assert.ok(suspicion.confirm('d'));
  assert.equal(suspicion.endMs, 1_000);
  assert.equal(suspicion.confirm('e'), false);
  suspicion.postpone(500);
  assert.equal(suspicion.endMs, 1_500);
  assert.equal(suspicion.takeCall(1_600), false);
  assert.ok(suspicion.confirmFully(1_600, 400));
  assert.equal(suspicion.confirmFully(9_000, 400), false);
  assert.equal(suspicion.endMs, 2_000);
  suspicion.postpone(100);
  assert.equal(suspicion.endMs, 2_100);
  // The accused is called several times, in case one call is lost, but not for ever.
  assert.equal(suspicion.nextMs, 1_600);
  const calls: number[] = [];
  for (let nowMs = 1_600; nowMs < 5_000; nowMs += 20)
    if (suspicion.takeCall(nowMs)) calls.push(nowMs);
  assert.deepEqual(calls, [1_600, 1_740, 1_880, 2_020, 2_160, 2_300]);
  assert.equal(suspicion.nextMs, 2_100);
  assert.equal(suspicionMinMs(4, 1_000, 1_000), 12_000);
  assert.equal(suspicionMinMs(4, 2, 1_000), 4_000);
});

test('a probe waits as long as the round trips of its peer ask for', () => {
  const roundTrip = new RoundTrip();
  assert.equal(roundTrip.timeoutMs(50, 500), 500);
  for (let i = 0; i < 50; i += 1) roundTrip.sample(80);
  assert.ok(Math.abs(roundTrip.timeoutMs(50, 500) - 100) < 2);
  for (let i = 0; i < 50; i += 1) roundTrip.sample(i % 2 === 0 ? 40 : 160);
  assert.ok(roundTrip.timeoutMs(50, 500) > 250);
  roundTrip.lost();
  assert.ok(roundTrip.lossShare > 0);
});

test('gossip goes out least sent first, newest first, and a limited number of times', () => {
  const queue = new GossipQueue(10);
  for (const topic of ['a', 'b', 'c']) queue.add(topic, 5, new TextEncoder().encode(topic));
  const round = (roomBytes: number) => {
    const packet = new PacketWriter(roomBytes, 0, 0);
    queue.fill(packet, 2);
    return readPacket(packet.content())!
      .map(({ body }) => new TextDecoder().decode(body))
      .join('');
  };
  assert.equal(round(11), 'c');
  assert.equal(round(14), 'ba');
  queue.add('b', 5, new TextEncoder().encode('B'));
  assert.equal(round(100), 'Bac');
  assert.equal(round(100), 'B');
  assert.equal(queue.size, 0);
});

test('the gossip queue is bounded and keeps what is new', () => {
  const queue = new GossipQueue(3);
  for (let i = 0; i < 10; i += 1) queue.add(`topic ${i}`, 5, Uint8Array.of(i));
  assert.equal(queue.size, 3);
  assert.equal(queue.dropped, 7);
  for (let i = 0; i < 20; i += 1) queue.add('one', 5, Uint8Array.of(i), true);
  assert.ok(queue.size <= 3);
});

test('a rumour that never fits does not keep others from going', () => {
  const queue = new GossipQueue(10);
  queue.add('long', 5, new Uint8Array(50));
  queue.add('short', 5, new Uint8Array(2));
  const packet = new PacketWriter(20, 0, 0);
  assert.equal(queue.fill(packet, 4), 1);
});

test('a keyring accepts all its keys, uses one, and keeps the used one', () => {
  const secret = (byte: number) => new Uint8Array(32).fill(byte);
  const id = (byte: number) => clusterKeyId(nodeCipher, secret(byte));
  const keyring = new Keyring(nodeCipher, 'x', [secret(1), secret(2)]);
  assert.equal(keyring.used.id, id(1));
  assert.equal(keyring.add(secret(2)), 'already');
  assert.equal(keyring.add(new Uint8Array(31)), 'malformed');
  assert.equal(keyring.use(id(9)), 'unknownKey');
  assert.equal(keyring.use(id(2)), 'done');
  assert.equal(keyring.retire(id(2)), 'inUse');
  assert.equal(keyring.retire(id(1)), 'done');
  assert.equal(keyring.get(id(1)), undefined);
  for (let byte = 10; byte < 17; byte += 1) assert.equal(keyring.add(secret(byte)), 'done');
  assert.equal(keyring.add(secret(20)), 'full');
  // Most attempts use the used key, some another: a node may not have heard of it yet.
  const attempts = Array.from({ length: 6 }, (_, attempt) => keyring.forAttempt(attempt).id);
  assert.equal(attempts.filter((attempt) => attempt === id(2)).length, 4);
});

test('the random generator repeats itself for the same seed only', () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 5 }, () => random.u32()).join();
  };
  assert.equal(draw(1), draw(1));
  assert.notEqual(draw(1), draw(2));
  assert.notEqual(draw(1), draw(1 + 2 ** 32));
  const random = new Random(7);
  const buckets = new Array(10).fill(0);
  for (let i = 0; i < 10_000; i += 1) buckets[random.below(10)] += 1;
  assert.ok(
    buckets.every((count) => count > 850 && count < 1_150),
    buckets.join(),
  );
});

test('addresses are IP addresses with a port', () => {
  for (const text of ['192.0.2.1:7946', '[2001:db8::1]:1']) {
    const address = parseSocketAddress(text)!;
    assert.equal(socketAddressText(address.host, address.port), text);
  }
  for (const text of [
    '',
    'a:1',
    '192.0.2.1',
    '192.0.2.300:1',
    '[::1]',
    '::1:5',
    '192.0.2.1:70000',
  ]) {
    assert.equal(parseSocketAddress(text), undefined, text);
  }
});
