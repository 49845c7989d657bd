import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowKey } from '../../bench/mesh/flow.ts';
import { writeAnswer } from '../../src/proto/ticket-query.ts';
import { nodeHash } from '../../src/sync/homes-score.ts';
import { type Node, settled, type World } from './directory-world.ts';

const homes = { buckets: 256 };

/** A node that is no home of the flow, does not own it, and so must ask. */
function stranger(world: World, n: number, owner: Node): Node {
  const bucket = world.bucketOf(n);
  const found = world.nodes.find(
    (node) => node !== owner && node.up && !node.directory.homes.isHome(node.peers.self, bucket),
  );
  assert.ok(found !== undefined);
  return found;
}

function outcomes(node: Node): unknown[] {
  return node.found.map(({ found }) => found);
}

test('an entry learns the owner from the homes within a round trip', () => {
  const world = settled({ seed: 1, nodes: 8, weather: { delayMs: 30 } });
  const owner = world.nodes[0]!;
  owner.accept(5);
  world.run(500);
  const entry = stranger(world, 5, owner);
  assert.equal(entry.find(5), undefined);
  world.run(62);
  assert.deepEqual(outcomes(entry), [{ outcome: 'owner', owner: entry.indexOf(owner) }]);
  assert.deepEqual(entry.found[0]!.key, flowKey(5));
  assert.equal(entry.found[0]!.bucket, world.bucketOf(5));
  assert.equal(entry.directory.counters.findsSearched, 0);
});

test('a node that has the ticket answers itself at once', () => {
  const world = settled({ seed: 2, nodes: 4 });
  const owner = world.nodes[0]!;
  for (let n = 0; n < 50; n++) owner.accept(n);
  world.run(100);
  assert.deepEqual(owner.find(1), { outcome: 'self' });
  const home = world.nodes.find((node) => node !== owner && node.kept(owner).includes('1@2'))!;
  assert.deepEqual(home.find(1), { outcome: 'owner', owner: home.indexOf(owner) });
  assert.equal(home.directory.lookupLocal(flowKey(1)), home.indexOf(owner));
  assert.equal(home.directory.lookupLocal(flowKey(999)), undefined);
});

test('when no home knows, every node is asked, and the owner answers for a flow without a ticket', () => {
  const world = settled({ seed: 3, nodes: 8 });
  const owner = stranger(world, 77, world.nodes[0]!);
  // As if the socket were older than the datapath.
  world.ownsFlow = (node, key) => node === owner && key[8] === flowKey(77)[8];
  const entry = stranger(world, 77, owner);
  assert.equal(entry.find(77), undefined);
  world.run(200);
  assert.deepEqual(outcomes(entry), [{ outcome: 'owner', owner: entry.indexOf(owner) }]);
  assert.equal(entry.directory.counters.findsSearched, 1);
});

test('a flow that nobody knows is unknown within the grace, and everybody was asked twice', () => {
  const world = settled({ seed: 4, nodes: 6 });
  const entry = world.nodes[0]!;
  const before = world.nodes[1]!.directory.counters.questionsAnswered!;
  assert.equal(entry.find(1), undefined);
  world.run(500);
  assert.deepEqual(outcomes(entry), [{ outcome: 'unknown' }]);
  const asked = world.nodes[1]!.directory.counters.questionsAnswered! - before;
  assert.ok(asked === 2 || asked === 3, `${asked}`);
  assert.equal(entry.directory.counters.findsPending, 0);
});

test('lost questions and answers do not hide the owner', () => {
  let known = 0;
  for (let seed = 0; seed < 20; seed++) {
    const world = settled({ seed, nodes: 6, weather: { loss: 0 } });
    const owner = world.nodes[0]!;
    owner.accept(9);
    world.run(500);
    world.weather.loss = 0.3;
    const entry = stranger(world, 9, owner);
    entry.find(9);
    world.run(500);
    if (JSON.stringify(outcomes(entry)).includes('"owner"')) known++;
  }
  assert.ok(known >= 19, `${known} of 20`);
});

test('silence ends with "unknown" when the grace is over, not before and not later', () => {
  const world = settled({ seed: 5, nodes: 4, directory: { graceMs: 400, homes } });
  world.weather.loss = 1;
  const entry = world.nodes[0]!;
  entry.find(1);
  world.run(399);
  assert.deepEqual(entry.found, []);
  world.run(2);
  assert.deepEqual(outcomes(entry), [{ outcome: 'unknown' }]);
});

test('a ticket that arrives meanwhile ends the search', () => {
  const world = settled({ seed: 6, nodes: 3 });
  const entry = world.nodes[0]!;
  const owner = world.nodes[1]!;
  assert.equal(entry.find(4), undefined);
  owner.accept(4);
  world.run(16);
  assert.deepEqual(outcomes(entry), [{ outcome: 'owner', owner: entry.indexOf(owner) }]);
});

test('many packets of one flow ask once, and one notice answers them', () => {
  const world = settled({ seed: 7, nodes: 6 });
  const owner = world.nodes[0]!;
  owner.accept(8);
  world.run(500);
  const entry = stranger(world, 8, owner);
  for (let i = 0; i < 100; i++) assert.equal(entry.find(8), undefined);
  world.run(100);
  assert.equal(entry.found.length, 1);
  assert.ok(entry.directory.counters.questionsSent! <= 3);
});

test('questions to one node share datagrams', () => {
  const world = settled({ seed: 8, nodes: 3, weather: { delayMs: 5 } });
  const entry = world.nodes[0]!;
  const before = world.sent.datagrams;
  for (let n = 0; n < 60; n++) entry.find(n);
  world.run(3);
  assert.equal(world.sent.datagrams - before, 2);
});

test('a flow of a dead owner is answered "dead" at once, not after the grace', () => {
  const world = settled({ seed: 9, nodes: 7 });
  const owner = world.nodes[0]!;
  owner.accept(6);
  world.run(500);
  world.kill(owner);
  world.tell(owner, 'dead');
  const entry = stranger(world, 6, owner);
  const now = entry.find(6);
  world.run(60);
  assert.equal(now, undefined);
  assert.deepEqual(outcomes(entry), [{ outcome: 'dead', owner: entry.indexOf(owner) }]);
});

test('a node that said it is not the owner is not named again', () => {
  const world = settled({ seed: 10, nodes: 6 });
  const [first, second] = world.nodes;
  first!.accept(3);
  world.run(300);
  second!.accept(3);
  world.run(300);
  for (const entry of world.nodes.slice(2)) {
    const now = entry.find(3, entry.indexOf(second!));
    world.run(500);
    const found = now ?? entry.found[0]!.found;
    assert.notDeepEqual(found, { outcome: 'owner', owner: entry.indexOf(second!) });
  }
});

test('an answer that names an older boot is not believed', () => {
  const world = settled({ seed: 11, nodes: 6 });
  const owner = world.nodes[0]!;
  owner.accept(2);
  world.run(500);
  const entry = stranger(world, 2, owner);
  owner.boot++;
  // Only the entry knows so far that the owner started anew.
  world.tell(owner, 'boot', [entry]);
  owner.flows.clear();
  world.kill(owner);
  entry.find(2);
  world.run(501);
  assert.deepEqual(outcomes(entry), [{ outcome: 'unknown' }]);
});

test('an answer from a node that was not asked is not believed', () => {
  const world = settled({ seed: 15, nodes: 8 });
  world.weather.loss = 1;
  const entry = world.nodes[0]!;
  const bucket = world.bucketOf(1);
  const liar = world.nodes.find(
    (node) => node !== entry && !node.directory.homes.isHome(node.peers.self, bucket),
  )!;
  entry.find(1);
  const { low, high } = nodeHash(liar.id);
  const body = new Uint8Array(17);
  writeAnswer(body, 0, { id: 1, known: true, low, high, boot: liar.boot });
  entry.handle({ type: 'frame', from: entry.indexOf(liar), channel: 23, body });
  assert.deepEqual(entry.found, []);
  world.run(501);
  assert.deepEqual(outcomes(entry), [{ outcome: 'unknown' }]);
});

test('searches beyond the rate are refused at once and cost no datagram', () => {
  const world = settled({ seed: 12, nodes: 6, directory: { searchPerSecond: 50, homes } });
  const entry = world.nodes[0]!;
  for (let n = 0; n < 200; n++) entry.find(n);
  world.run(700);
  const refused = outcomes(entry).filter((found) => JSON.stringify(found).includes('refused'));
  assert.equal(entry.found.length, 200);
  assert.ok(refused.length >= 180, `${refused.length} refused`);
  assert.equal(entry.directory.counters.findsRefused, refused.length);
});

test('finds under way are bounded', () => {
  const world = settled({ seed: 13, nodes: 3, directory: { findsMax: 10, homes } });
  world.weather.loss = 1;
  const entry = world.nodes[0]!;
  for (let n = 0; n < 10; n++) assert.equal(entry.find(n), undefined);
  assert.deepEqual(entry.find(10), { outcome: 'refused' });
  world.run(600);
  assert.equal(entry.find(10), undefined);
});

test('a lone node says "unknown" without waiting for the grace', () => {
  const world = settled({ seed: 14, nodes: 1 });
  world.nodes[0]!.find(1);
  world.run(1);
  assert.deepEqual(outcomes(world.nodes[0]!), [{ outcome: 'unknown' }]);
});
