import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FlowFeed } from '../../src/agent/flow-feed.ts';
import { NodeSlots } from '../../src/agent/node-slots.ts';
import { flowKey } from '../../src/datapath/address-bytes.ts';
import type { FlowKey } from '../../src/proto/ticket-key.ts';
import type { Outbox } from '../../src/sync/core.ts';
import type { FindOutcome } from '../../src/sync/directory/finder.ts';
import { Peers, Slots } from './members.ts';

const VIP = { address: '192.0.2.10', port: 443 };
const keyOf = (port: number) => flowKey({ address: '203.0.113.7', port }, VIP);
const out: Outbox = {
  send: () => true,
  stream: () => true,
  broadcast: () => {},
  notify: () => {},
};

function world() {
  const peers = new Peers();
  const kernel = new Slots();
  const slots = new NodeSlots(0, kernel, peers, 1);
  for (const peer of [2, 3]) slots.observe(0, 'joined', peer, peers.set(peer, 'alive'));
  const said: string[] = [];
  const learned: [number, string | undefined][] = [];
  const state = {
    doubtful: false,
    local: undefined as number | undefined,
    found: undefined as FindOutcome | undefined,
    except: -1,
    finds: 0,
    forgotten: 0,
  };
  const directory = {
    publish: (_now: number, bucket: number, _key: FlowKey, generation: number) =>
      said.push(`publish ${bucket} ${generation}`),
    end: (_now: number, bucket: number, _key: FlowKey, generation: number) =>
      said.push(`end ${bucket} ${generation}`),
    lookupLocal: () => state.local,
    find: (_now: number, _bucket: number, _key: FlowKey, _out: Outbox, except = -1) => {
      state.finds++;
      state.except = except;
      return state.found;
    },
  };
  const tickets = {
    learn: (_key: FlowKey, owner: number, source?: string) => learned.push([owner, source]),
    forget: () => {
      state.forgotten++;
    },
  };
  const hints: [number, number][] = [];
  const switched: (number | undefined)[] = [];
  const feed = new FlowFeed(directory, tickets, slots, {
    self: 0,
    switched: (_key, owner) => switched.push(owner),
    hint: (_key, entry, owner) => hints.push([entry, owner]),
    isDoubtful: () => state.doubtful,
  });
  feed.begin(0, out);
  return { feed, slots, said, learned, state, hints, switched };
}

describe('the kernel’s events', () => {
  test('a flow is published when it is born and ended when its socket closes', () => {
    const { feed, said } = world();
    feed.born(keyOf(1), 7, 100, true);
    feed.settle(false);
    feed.ended(keyOf(1), 7, 100);
    feed.settle(false);
    assert.deepEqual(said, ['publish 7 100', 'end 7 100']);
    assert.equal(feed.counters.flowsUntold, 0);
  });

  test('a flow that is over within a round is never published', () => {
    const { feed, said } = world();
    feed.born(keyOf(1), 7, 100, false);
    feed.kept(keyOf(1), 7, 100);
    feed.ended(keyOf(1), 7, 100);
    assert.ok(feed.holds);
    feed.settle(false);
    assert.ok(!feed.holds);
    // In case that all flows were read as a whole in between.
    assert.deepEqual(said, ['end 7 100']);
    assert.equal(feed.counters.flowsUntold, 1);
    assert.equal(feed.halfOpen, 0);
  });

  test('ports used again within a round: the flow that lives is published', () => {
    const { feed, said } = world();
    feed.born(keyOf(1), 7, 100, false);
    feed.kept(keyOf(1), 7, 100);
    feed.ended(keyOf(1), 7, 100);
    feed.born(keyOf(1), 7, 101, false);
    feed.kept(keyOf(1), 7, 101);
    feed.settle(false);
    assert.deepEqual(said, ['end 7 100', 'publish 7 101']);
    assert.equal(feed.halfOpen, 0, 'its handshake was completed');
  });

  test('while many come and go a flow is published one round later, if it lives then', () => {
    const { feed, said } = world();
    feed.born(keyOf(1), 7, 100, false);
    feed.born(keyOf(2), 8, 101, false);
    feed.settle(true);
    assert.deepEqual(said, []);
    assert.ok(feed.holds);
    feed.ended(keyOf(1), 7, 100);
    feed.born(keyOf(3), 9, 102, true);
    feed.settle(true);
    assert.deepEqual(said, ['end 7 100', 'publish 8 101']);
    assert.equal(feed.halfOpen, 1);
    feed.settle(true);
    assert.deepEqual(said.at(-1), 'publish 9 102');
    assert.ok(!feed.holds);
  });

  test('more births than can be held are published, each once', () => {
    const { feed, said } = world();
    for (let i = 0; i < 20_000; i++) feed.born(keyOf(1), 7, 100 + i, true);
    feed.settle(false);
    assert.equal(new Set(said).size, 20_000);
    assert.equal(said.length, 20_000);
  });

  test('what is held is published before a search, which may ask for it', () => {
    const { feed, said } = world();
    feed.born(keyOf(1), 7, 100, true);
    feed.search(keyOf(2), 8, undefined);
    assert.deepEqual(said, ['publish 7 100']);
  });

  test('a handshake that nobody completes is given up, one that is completed is not', () => {
    const { feed, said } = world();
    feed.born(keyOf(1), 7, 100, false);
    feed.born(keyOf(2), 8, 101, false);
    feed.kept(keyOf(2), 8, 101);
    feed.settle(false);
    said.length = 0;
    feed.begin(80_000, out);
    feed.tick(80_000);
    assert.deepEqual(said, ['end 7 100']);
    assert.equal(feed.counters.halfOpenGivenUp, 1);
    assert.equal(feed.halfOpen, 0);
  });

  test('a flow whose birth an earlier agent saw is published when it is completed', () => {
    const { feed, said } = world();
    feed.kept(keyOf(1), 7, 100);
    assert.deepEqual(said, ['publish 7 100']);
  });

  test('a switched flow is told with its owner’s place in the mesh', () => {
    const { feed, slots, switched } = world();
    feed.switched(keyOf(1), 7, slots.slotOf(3), 'home');
    feed.switched(keyOf(1), 7, 999, 'home');
    assert.deepEqual(switched, [3, undefined]);
  });

  test('a home tells the entry who the owner is', () => {
    const { feed, slots, state, hints } = world();
    feed.found(keyOf(1), 7, slots.slotOf(2));
    assert.deepEqual(hints, [], 'it knows none itself');
    state.local = 3;
    feed.found(keyOf(1), 7, slots.slotOf(2));
    assert.deepEqual(hints, [[2, 3]]);
  });
});

describe('flows that nobody here knows', () => {
  test('what the directory knows becomes a ticket at once; who said no is not asked', () => {
    const { feed, slots, state, learned } = world();
    state.found = { outcome: 'owner', owner: 3 };
    feed.search(keyOf(1), 7, slots.slotOf(2));
    assert.equal(state.except, 2);
    assert.deepEqual(learned, [[slots.slotOf(3), 'directory']]);
  });

  test('what the others say becomes a ticket found by search', () => {
    const { feed, slots, learned } = world();
    feed.search(keyOf(1), 7, undefined);
    assert.deepEqual(learned, []);
    feed.searched(keyOf(1), { outcome: 'owner', owner: 2 });
    assert.deepEqual(learned, [[slots.slotOf(2), 'search']]);
  });

  test('a dead owner becomes a ticket too: the kernel resets the flow at its next packet', () => {
    const { feed, slots, learned } = world();
    feed.search(keyOf(1), 7, undefined);
    feed.searched(keyOf(1), { outcome: 'dead', owner: 2 });
    assert.equal(learned[0]?.[0], slots.slotOf(2));
    assert.equal(feed.counters.foundDead, 1);
  });

  test('as long as a silent node may be the owner, the search goes on for a while', () => {
    const { feed, state } = world();
    state.doubtful = true;
    feed.search(keyOf(1), 7, undefined);
    assert.equal(state.finds, 1);
    assert.equal(feed.nextWakeupMs(), 250);
    feed.tick(250);
    feed.tick(251);
    assert.equal(state.finds, 2);
    for (let nowMs = 500; nowMs <= 6_000; nowMs += 250) feed.tick(nowMs);
    assert.equal(state.finds, 20);
    assert.equal(feed.nextWakeupMs(), Number.POSITIVE_INFINITY);
  });

  test('a search that found somebody is over', () => {
    const { feed, state } = world();
    state.doubtful = true;
    feed.search(keyOf(1), 7, undefined);
    feed.searched(keyOf(1), { outcome: 'owner', owner: 2 });
    feed.tick(250);
    assert.equal(state.finds, 1);
  });
});

describe('changes of the directory', () => {
  test('a learned ticket goes to the kernel; one of a node without a slot does not', () => {
    const { feed, slots, learned } = world();
    feed.learned(keyOf(1), 2);
    feed.learned(keyOf(1), 9);
    assert.deepEqual(learned, [[slots.slotOf(2), 'directory']]);
  });

  test('the end of a ticket leaves the kernel’s alone, for the last packets of the flow', () => {
    const { feed, state } = world();
    feed.voided(keyOf(1));
    assert.equal(state.forgotten, 0);
    state.local = 0;
    feed.voided(keyOf(1));
    assert.equal(state.forgotten, 1, 'this node has taken the flow over');
  });
});
