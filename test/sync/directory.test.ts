import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readReply } from '../../src/proto/ticket-digest.ts';
import { Random } from '../../src/sync/random.ts';
import { churn, settled, type World } from './directory-world.ts';

const stormy = { loss: 0.1, double: 0.05, delayMs: 20, jitterMs: 30 };

/** Longest time from quiet until every home is right, by streams alone. */
const STREAM_QUIET_MS = 1_000;
/** The same when only anti-entropy can mend. */
const REPAIR_QUIET_MS = 12_000;

function openFlows(world: World, count: number): void {
  const random = new Random(count);
  for (let n = 0; n < count; n++) world.nodes[random.below(world.nodes.length)]!.accept(n);
  world.run(500);
  assert.equal(world.fault(), undefined);
}

test('a new ticket is at all its homes after the flush and one way of the network', () => {
  const world = settled({ seed: 1, nodes: 5, weather: { delayMs: 30 } });
  for (let n = 0; n < 200; n++) world.nodes[0]!.accept(n);
  world.run(36);
  assert.equal(world.fault(), undefined);
  for (let n = 0; n < 200; n += 2) world.nodes[0]!.close(n);
  world.run(36);
  assert.equal(world.fault(), undefined);
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`under loss, doubles and reordering every home is right soon after quiet (seed ${seed})`, () => {
    const world = settled({ seed, nodes: 6, weather: stormy });
    churn(world, seed, 1_000, 4_000);
    const passedMs = world.settle(STREAM_QUIET_MS);
    assert.ok(passedMs !== undefined, `seed ${seed}: ${world.fault()}`);
  });
}

test('negative control: without requests for missing frames homes are wrong after that time', () => {
  let wrong = 0;
  for (const seed of [1, 2, 3]) {
    const world = settled({
      seed,
      nodes: 6,
      weather: stormy,
      directory: { stream: { retransmit: false } },
    });
    churn(world, seed, 1_000, 4_000);
    if (world.settle(STREAM_QUIET_MS) === undefined) wrong++;
    const passedMs = world.settle(REPAIR_QUIET_MS);
    assert.ok(
      passedMs !== undefined,
      `anti-entropy mends it later (seed ${seed}): ${world.fault()}`,
    );
  }
  assert.equal(wrong, 3);
});

test('a home that lost its memory is filled again by the owners, group by group', () => {
  const world = settled({ seed: 3, nodes: 5, weather: { loss: 0.03 } });
  openFlows(world, 2_000);
  world.kill(world.nodes[2]!);
  world.run(1_000);
  world.restart(world.nodes[2]!, false);
  assert.notEqual(world.fault(), undefined);
  const passedMs = world.settle(20_000);
  assert.ok(passedMs !== undefined && passedMs < 16_000, `${world.fault()}`);
});

test('negative control: without anti-entropy that home stays empty', () => {
  const world = settled({ seed: 3, nodes: 5, directory: { antiEntropy: false } });
  openFlows(world, 500);
  world.kill(world.nodes[2]!);
  world.run(1_000);
  world.restart(world.nodes[2]!, false);
  assert.equal(world.settle(30_000, 500), undefined);
});

test('a process that restarts keeps its tickets at the homes, also those of flows that ended', () => {
  const world = settled({ seed: 4, nodes: 4 });
  openFlows(world, 800);
  const node = world.nodes[1]!;
  const other = world.nodes[2]!;
  const before = other.kept(node);
  world.kill(node);
  const ended = [...node.flows.keys()].slice(0, 50);
  for (const n of ended) node.flows.delete(n);
  world.run(2_000);
  world.restart(node, false, false);
  world.run(6_000);
  const missing = before.filter((name) => !other.kept(node).includes(name));
  assert.deepEqual(missing, [], 'nothing may be dropped before the node has told all it has');
  world.restore(node);
  assert.ok(world.settle(20_000) !== undefined, `${world.fault()}`);
});

test('a node that boots anew voids its tickets everywhere at once', () => {
  const world = settled({ seed: 5, nodes: 4 });
  openFlows(world, 800);
  const node = world.nodes[1]!;
  world.kill(node);
  world.restart(node, true);
  for (const home of world.nodes) assert.deepEqual(home.kept(node), []);
  world.run(1_000);
  for (let n = 5_000; n < 5_100; n++) node.accept(n);
  assert.ok(world.settle(REPAIR_QUIET_MS) !== undefined, `${world.fault()}`);
  for (const home of world.nodes) assert.equal(home.directory.tickets.voided, 0);
});

test('a dead owner answers nothing at once, and everything again when it was only cut off', () => {
  const world = settled({ seed: 6, nodes: 4 });
  openFlows(world, 400);
  const [, node, home] = world.nodes;
  const before = home!.kept(node!);
  const repaired = (): number => node!.directory.counters.ticketsRepaired!;
  world.tell(node!, 'dead');
  assert.deepEqual(home!.kept(node!), []);
  world.run(3_000);
  const sentBefore = repaired();
  world.tell(node!, 'alive');
  assert.deepEqual(home!.kept(node!), before);
  assert.ok(world.settle(12_000) !== undefined, `${world.fault()}`);
  assert.equal(repaired(), sentBefore, 'nothing was missing, so nothing was sent again');
});

test('a home that was wrong about a death asks for what it threw away', () => {
  const world = settled({ seed: 18, nodes: 4, directory: { keepDeadMs: 500 } });
  openFlows(world, 400);
  world.run(5_000);
  const [owner, home] = world.nodes;
  world.tell(owner!, 'dead', [home!]);
  world.run(2_000);
  world.tell(owner!, 'alive', [home!]);
  assert.equal(home!.directory.counters.homesVersion, owner!.directory.counters.homesVersion);
  assert.notEqual(world.fault(), undefined);
  const passedMs = world.settle(4_000);
  assert.ok(passedMs !== undefined, `${world.fault()}`);
});

test('tickets of an owner that stays dead are forgotten, paced', () => {
  const world = settled({ seed: 6, nodes: 4, directory: { keepDeadMs: 2_000, sweepPerTick: 10 } });
  openFlows(world, 400);
  const [, node, home] = world.nodes;
  const own = home!.directory.counters.ticketsKept!;
  world.kill(node!);
  world.tell(node!, 'dead');
  world.run(2_010);
  const later = home!.directory.counters.ticketsKept!;
  assert.ok(later < own && later > own - node!.flows.size, `${own} then ${later}`);
  world.run(1_000);
  assert.equal(home!.directory.tickets.voided, 0);
});

test('when a node leaves, owners send only the moved buckets again, and only to the new homes', () => {
  // So slow that a digest would fall into the time of sending.
  const directory = { republishPerSecond: 50, homes: { buckets: 1_024 } };
  const world = settled({ seed: 7, nodes: 8, directory });
  openFlows(world, 3_000);
  const gone = world.nodes[3]!;
  let moved = 0;
  for (const owner of world.nodes) {
    if (owner === gone) continue;
    const { homes } = owner.directory;
    for (const { n } of owner.flows.values()) {
      if (homes.isHome(owner.indexOf(gone), world.bucketOf(n))) moved++;
    }
  }
  world.kill(gone);
  world.tell(gone, 'left');
  world.run(300);
  const passedMs = world.settle(9_000);
  assert.ok(passedMs !== undefined && passedMs > 1_600, `${passedMs}: ${world.fault()}`);
  const sum = (name: string): number =>
    world.nodes.reduce(
      (total, { up, directory }) => total + (up ? directory.counters[name]! : 0),
      0,
    );
  const republished = sum('recordsRepublished');
  // An owner that is itself the new home sends nothing.
  assert.ok(republished <= moved && republished > moved * 0.7, `${republished} of ${moved}`);
  assert.equal(sum('ticketsRepaired'), 0);
  world.run(20_000);
  assert.equal(world.fault(), undefined);
  assert.equal(sum('ticketsRepaired'), 0);
});

test('when a node joins, it gets its share and the displaced homes let theirs go', () => {
  const world = settled({ seed: 8, nodes: 8, weather: { loss: 0.05 } });
  const late = world.nodes[7]!;
  world.kill(late);
  world.tell(late, 'left');
  world.run(15_000);
  openFlows(world, 2_000);
  world.restart(late, true);
  const passedMs = world.settle(16_000);
  assert.ok(passedMs !== undefined, `${world.fault()}`);
  world.run(12_000);
  const strayed = world.nodes.reduce((sum, n) => sum + n.directory.counters.ticketsStrayed!, 0);
  assert.ok(strayed > 0);
  assert.equal(world.fault(), undefined);
});

test('while a change settles, tickets go to the homes of both tables', () => {
  const world = settled({ seed: 9, nodes: 6 });
  const late = world.nodes[5]!;
  world.kill(late);
  world.tell(late, 'left');
  world.run(15_000);
  world.restart(late, true);
  world.run(400);
  const owner = world.nodes[0]!;
  for (let n = 0; n < 500; n++) owner.accept(n);
  world.run(100);
  let seconds = 0;
  for (const home of world.nodes) {
    if (home === owner) continue;
    const { homes } = home.directory;
    for (const { n, generation } of owner.flows.values()) {
      const bucket = world.bucketOf(n);
      const { self } = home.peers;
      if (!homes.isHome(self, bucket) && !homes.wasHome(self, bucket)) continue;
      assert.ok(home.kept(owner).includes(`${n}@${generation}`));
      if (!homes.isHome(self, bucket)) seconds++;
    }
  }
  assert.ok(seconds > 50, `${seconds}`);
  // They stay there, and no digest takes them for too many, until the change has settled.
  let differences = 0;
  world.lose = (_from, _to, channel, body) => {
    if (channel === 19 && readReply(body)?.status === 'differs') differences++;
    return false;
  };
  const kept = world.nodes.map((home) => (home === owner ? 0 : home.kept(owner).length));
  world.run(8_000);
  const later = world.nodes.map((home) => (home === owner ? 0 : home.kept(owner).length));
  assert.deepEqual(later, kept);
  assert.equal(differences, 0);
  world.run(8_000);
  assert.equal(world.fault(), undefined);
});

test('every second frame may be lost: the next one repeats it, without any request', () => {
  const directory = { antiEntropy: false, stream: { retransmit: false } };
  const world = settled({ seed: 15, nodes: 2, directory });
  let count = 0;
  world.lose = (_from, _to, channel) => channel === 16 && count++ % 2 === 0;
  for (let n = 0; n < 1_000; n++) {
    world.nodes[0]!.accept(n);
    world.run(1);
  }
  world.run(30);
  assert.equal(world.fault(), undefined);
});

test('a lone frame that is lost comes again one flush later', () => {
  const directory = { antiEntropy: false, stream: { retransmit: false } };
  const world = settled({ seed: 16, nodes: 2, directory });
  let count = 0;
  world.lose = (_from, _to, channel) => channel === 16 && count++ === 0;
  world.nodes[0]!.accept(1);
  world.run(21);
  assert.equal(world.fault(), undefined);
});

test('a snapshot that arrives late does not bring ended flows back for long', () => {
  const world = settled({ seed: 19, nodes: 3 });
  const [owner, home] = world.nodes;
  for (let n = 0; n < 100; n++) owner!.accept(n);
  world.run(3_000);
  world.streamDelayMs = 4_000;
  world.kill(home!);
  world.restart(home!, false);
  while (owner!.directory.counters.snapshotsSent === 0) world.run(100);
  for (const n of [...owner!.flows.keys()]) owner!.close(n);
  world.run(3_000);
  assert.equal(home!.kept(owner!).length, 0);
  world.run(1_500);
  assert.notEqual(home!.kept(owner!).length, 0, 'the late snapshot came');
  world.streamDelayMs = 0;
  assert.ok(world.settle(6_500) !== undefined, `${world.fault()}`);
});

test('a bucket too full for one message is repaired in several', () => {
  const world = settled({ seed: 17, nodes: 2 });
  const [owner, home] = world.nodes;
  for (let n = 0; owner!.flows.size < 4_000; n++) if (world.bucketOf(n) === 3) owner!.accept(n);
  world.run(1_000);
  world.kill(home!);
  world.restart(home!, false);
  assert.ok(world.settle(REPAIR_QUIET_MS, 200) !== undefined, `${world.fault()}`);
  assert.ok(owner!.directory.counters.snapshotsSent! >= 3);
});

test('a home that is silent for long costs bounded memory, and catches up afterwards', () => {
  const windowBytes = 20_000;
  const world = settled({ seed: 10, nodes: 3, directory: { stream: { windowBytes } } });
  const [owner, home] = world.nodes;
  world.cut.add(`${owner!.id}>${home!.id}`).add(`${home!.id}>${owner!.id}`);
  for (let n = 0; n < 10_000; n++) {
    owner!.accept(n);
    if (n % 20 === 0) world.run(5);
    assert.ok(owner!.directory.counters.windowBytes! <= windowBytes * 2);
  }
  assert.ok(owner!.directory.counters.recordsOverflowed! > 5_000);
  world.cut.clear();
  assert.ok(world.settle(REPAIR_QUIET_MS) !== undefined, `${world.fault()}`);
});

test('refused bulk streams are tried again until the repair is done', () => {
  const world = settled({ seed: 11, nodes: 4 });
  openFlows(world, 1_000);
  world.streamsRefused = true;
  world.kill(world.nodes[1]!);
  world.restart(world.nodes[1]!, false);
  world.run(12_000);
  assert.notEqual(world.fault(), undefined);
  world.streamsRefused = false;
  assert.ok(world.settle(4_000) !== undefined, `${world.fault()}`);
});

test('a home without room says so, and is not sent the same tickets again and again', () => {
  const world = settled({ seed: 12, nodes: 3, directory: { capacity: 1_500 } });
  for (let n = 0; n < 1_000; n++) world.nodes[0]!.accept(n);
  for (let n = 1_000; n < 2_000; n++) world.nodes[1]!.accept(n);
  world.run(2_000);
  const third = world.nodes[2]!.directory;
  assert.equal(third.tickets.size, 1_500);
  world.run(60_000);
  const repaired = world.nodes.reduce((s, n) => s + n.directory.counters.ticketsRepaired!, 0);
  assert.ok(repaired < 6_000, `${repaired} tickets were sent in snapshots`);
  assert.equal(world.nodes[0]!.directory.tickets.own.count, 1_000);
});

test('homes that agree are compared rarely, and a change makes it often again', () => {
  const world = settled({ seed: 13, nodes: 4 });
  openFlows(world, 200);
  world.run(10_000);
  const count = (): number => world.nodes[0]!.directory.counters.digestsSent!;
  const before = count();
  world.run(30_000);
  assert.ok(count() - before <= 6, `${count() - before} digests to 3 homes in 30 quiet seconds`);
  const again = count();
  world.nodes[0]!.accept(9_999);
  world.run(2_000);
  assert.ok(count() - again >= 1);
});

test('homes of protocol 1, which cannot ask, are compared every 4.5 s although they agree', () => {
  const world = settled({ seed: 13, nodes: 4, protocols: [2, 1, 1, 1] });
  openFlows(world, 200);
  world.run(10_000);
  const count = (): number => world.nodes[0]!.directory.counters.digestsSent!;
  const before = count();
  world.run(45_000);
  const digests = count() - before;
  assert.ok(digests >= 27 && digests <= 33, `${digests} digests to 3 homes in 45 quiet seconds`);
});

test('the port of a closed flow used again at once never loses the newer ticket', () => {
  const world = settled({ seed: 14, nodes: 4, weather: stormy });
  const node = world.nodes[0]!;
  for (let round = 0; round < 200; round++) {
    node.accept(7);
    if (round % 3 === 0) world.run(5);
    node.close(7);
    if (round % 5 === 0) world.run(7);
  }
  node.accept(7);
  assert.ok(world.settle(STREAM_QUIET_MS) !== undefined, `${world.fault()}`);
});

test('killing and restarting nodes at random under load loses no live ticket once quiet', () => {
  for (const seed of [1, 2, 3]) {
    const world = settled({ seed, nodes: 7, weather: { loss: 0.05, delayMs: 10, jitterMs: 10 } });
    const random = new Random(seed);
    for (let round = 0; round < 12; round++) {
      const node = world.nodes[random.below(world.nodes.length)]!;
      world.kill(node);
      if (random.chance(0.5)) world.tell(node, 'dead');
      churn(world, seed * 100 + round, random.between(50, 1_500), 1_000);
      world.restart(node, random.chance(0.3));
      churn(world, seed * 200 + round, random.between(50, 800), 1_000);
    }
    const passedMs = world.settle(30_000, 100);
    assert.ok(passedMs !== undefined, `seed ${seed}: ${world.fault()}`);
  }
});
