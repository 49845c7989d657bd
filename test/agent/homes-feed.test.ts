import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HomesFeed } from '../../src/agent/homes-feed.ts';
import { NodeSlots } from '../../src/agent/node-slots.ts';
import { Peers, Slots } from './members.ts';

function world(inherited: boolean) {
  const peers = new Peers();
  const kernel = new Slots();
  if (inherited) kernel.place({ address: '198.51.100.2', boot: 1_002, state: 'alive' });
  const slots = new NodeSlots(0, kernel, peers, 1);
  const source = { rows: Uint16Array.of(0, 0xffff, 0xffff) };
  const tables: number[][] = [];
  const writer = {
    publish: (rows: Uint16Array, of: Uint16Array) =>
      tables.push([...rows].map((peer) => of[peer]!)),
  };
  const feed = new HomesFeed(0, source, writer, slots, inherited);
  const join = (nowMs: number) => slots.observe(nowMs, 'joined', 2, peers.set(2, 'alive'));
  return { slots, source, tables, feed, join };
}

test('each new table goes to the kernel once, in slots', () => {
  const { source, tables, feed, join, slots } = world(false);
  feed.tick(0);
  feed.tick(1);
  assert.equal(tables.length, 1);
  join(10);
  source.rows = Uint16Array.of(2, 0, 0xffff);
  feed.tick(20);
  assert.deepEqual(tables.at(-1)?.slice(0, 2), [slots.slotOf(2), 1]);
  assert.equal(feed.named, 2);
});

test('a restarted agent leaves its predecessor’s table in force until the members are back', () => {
  const { source, tables, feed, join } = world(true);
  feed.tick(0);
  join(300);
  feed.tick(300);
  assert.equal(tables.length, 0, 'the table names nobody but this node yet');
  source.rows = Uint16Array.of(0, 2, 0xffff);
  feed.tick(600);
  assert.equal(tables.length, 1);
});

test('a predecessor’s table does not stay for ever', () => {
  const { tables, feed } = world(true);
  assert.equal(feed.nextWakeupMs(0), 10_000);
  feed.tick(9_999);
  assert.equal(tables.length, 0);
  feed.tick(10_000);
  assert.equal(tables.length, 1);
  assert.equal(feed.nextWakeupMs(10_000), Number.POSITIVE_INFINITY);
});
