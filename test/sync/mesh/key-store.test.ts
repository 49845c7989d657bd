/** Keys in simulated meshes: loss, partitions, restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeKeyState, encodeKeyState } from '../../../src/proto/key-state.ts';
import type { Outbox } from '../../../src/sync/core.ts';
import {
  KEY_STORE_DEFAULTS,
  KeyStore,
  type KeyStoreSettings,
} from '../../../src/sync/key-store.ts';
import { clusterKeyId, Keyring } from '../../../src/sync/keyring.ts';
import { Random } from '../../../src/sync/random.ts';
import { shamCipher } from '../../../src/sync/sim/sham-cipher.ts';
import type { SimNode } from '../../../src/sync/sim/sim-node.ts';
import { SIM_SECRET, World } from '../../../src/sync/sim/world.ts';
import { TicketEpochs } from '../../../src/sync/ticket-epochs.ts';

const settings = { ...KEY_STORE_DEFAULTS, ticketKeyMs: 20_000, ticketKeyLeadMs: 4_000 };

function meshOf(nodes: number, seed: number, loss = 0.05, change: Partial<KeyStoreSettings> = {}) {
  const given = { ...settings, ...change };
  const stores = new Map<SimNode, KeyStore>();
  const suite = shamCipher(new Random(seed));
  const world: World = new World({
    nodes,
    seed,
    network: { loss },
    components: (peers, random, node) => {
      // The node's own keyring stays as it is: here only agreement is tested.
      const keyring = new Keyring(suite, 'sim', [SIM_SECRET]);
      const nowMs = node.localMs(world.nowMs);
      const store = new KeyStore(nowMs, peers, keyring, suite, random, given);
      stores.set(node, store);
      Object.assign(store, { testKeyring: keyring });
      return [store];
    },
  });
  const keyringOf = (node: SimNode) =>
    (stores.get(node) as KeyStore & { testKeyring: Keyring }).testKeyring;
  const view = (node: SimNode) =>
    JSON.stringify({
      keys: keyringOf(node)
        .keys()
        .map((key) => key.id)
        .sort(),
      used: keyringOf(node).used.id,
    });
  const ticketKey = (node: SimNode) =>
    String(stores.get(node)!.epochs.current(node.localMs(world.nowMs))?.secret.subarray(0, 4));
  const changeKeys = (
    node: SimNode,
    call: (store: KeyStore, nowMs: number, out: Outbox) => unknown,
  ) => world.act(node, (nowMs, out) => call(stores.get(node)!, nowMs, out));
  const distinct = (of: (node: SimNode) => string) => new Set(world.up().map(of)).size;
  return { world, stores, suite, view, ticketKey, change: changeKeys, distinct };
}

const secret = (byte: number) => new Uint8Array(32).fill(byte);

test('a key change is on all of 60 nodes within two seconds at 5 % loss', () => {
  const { world, view, change, distinct, suite } = meshOf(60, 1);
  world.runUntil(12_000);
  change(world.nodes[9]!, (store, nowMs, out) => store.add(nowMs, secret(9), out));
  world.runUntil(14_000);
  assert.equal(distinct(view), 1);
  const id = clusterKeyId(suite, secret(9));
  change(world.nodes[30]!, (store, nowMs, out) => store.use(nowMs, id, out));
  world.runUntil(16_000);
  assert.equal(distinct(view), 1);
  assert.ok(view(world.nodes[0]!).includes(`"used":${id}`));
});

test('changes made on both sides of a partition are merged, and what was retired stays away', () => {
  const { world, view, change, distinct, suite } = meshOf(10, 2);
  world.runUntil(8_000);
  world.network.partition((node) => node % 2);
  const ids = [3, 4].map((byte) => clusterKeyId(suite, secret(byte)));
  change(world.nodes[0]!, (store, nowMs, out) => store.add(nowMs, secret(3), out));
  change(world.nodes[1]!, (store, nowMs, out) => store.add(nowMs, secret(4), out));
  world.runUntil(11_000);
  change(world.nodes[0]!, (store, nowMs, out) => store.use(nowMs, ids[0]!, out));
  change(world.nodes[1]!, (store, nowMs, out) => store.use(nowMs, ids[1]!, out));
  world.runUntil(25_000);
  assert.equal(distinct(view), 2);
  world.network.heal();
  world.runUntil(60_000);
  assert.equal(distinct(view), 1);
  const old = clusterKeyId(suite, SIM_SECRET);
  change(world.nodes[2]!, (store, nowMs, out) => store.retire(nowMs, old, out));
  world.runUntil(75_000);
  assert.equal(distinct(view), 1);
  assert.ok(!view(world.nodes[7]!).includes(String(old)));
  assert.equal(
    change(world.nodes[5]!, (store, nowMs, out) => {
      assert.equal(store.add(nowMs, SIM_SECRET, out), 'retired');
    }),
    undefined,
  );
});

test('TLS ticket keys are the same everywhere and change over together', () => {
  const { world, ticketKey, distinct } = meshOf(20, 3);
  world.runUntil(15_000);
  const seen = new Set<string>();
  let splitMs = 0;
  for (let atMs = 15_000; atMs < 95_000; atMs += 50) {
    world.runUntil(atMs);
    if (distinct(ticketKey) > 1) splitMs += 50;
    seen.add(ticketKey(world.nodes[0]!));
  }
  assert.ok(seen.size >= 4, `${seen.size} keys in 80 s`);
  assert.ok(!seen.has('undefined'));
  // Each node counts down by itself: they differ by the way that the news took, no more.
  assert.ok(splitMs <= seen.size * 300, `${splitMs} ms with two keys`);
});

/** How often a node would seal with a key that another does not know, over some rotations. */
function gapsOf(seed: number, ticketKeyLeadMs: number): { gaps: number; keys: number } {
  const { world, stores } = meshOf(12, seed, 0.1, { ticketKeyLeadMs });
  world.runUntil(15_000);
  const names = (node: SimNode) =>
    stores.get(node)!.epochs.all.map(({ secret: key }) => String(key.subarray(0, 8)));
  const sealing = (node: SimNode) => {
    const epoch = stores.get(node)!.epochs.current(node.localMs(world.nowMs));
    return String(epoch!.secret.subarray(0, 8));
  };
  let gaps = 0;
  const keys = new Set<string>();
  for (let atMs = 15_000; atMs < 120_000; atMs += 50) {
    world.runUntil(atMs);
    // One process restarts with nothing in its memory, one stands still.
    if (atMs === 40_000) world.crash(world.nodes[5]!);
    if (atMs === 41_000) world.start(world.nodes[5]!);
    if (atMs === 60_000) world.stall(world.nodes[7]!, 3_000);
    const ready = world.up().filter((node) => names(node).length > 0);
    const known = ready.map((node) => new Set(names(node)));
    for (const node of ready) {
      const key = sealing(node);
      keys.add(key);
      gaps += known.filter((set) => !set.has(key)).length;
    }
    if (atMs > 45_000) assert.equal(ready.length, 12);
  }
  return { gaps, keys: keys.size };
}

test('no node ever seals a TLS ticket with a key that another one does not know', () => {
  for (const seed of [11, 12, 13]) {
    const { gaps, keys } = gapsOf(seed, 4_000);
    assert.ok(keys >= 5, `${keys} keys`);
    assert.equal(gaps, 0, `seed ${seed}`);
  }
});

test('without a lead, new TLS tickets meet nodes that do not know their key', () => {
  assert.ok(gapsOf(11, 0).gaps > 0);
});

test('a TLS ticket key can be replaced before its time, once at a time', () => {
  const { world, ticketKey, change, distinct } = meshOf(6, 14, 0.05, { ticketKeyMs: 3_600_000 });
  world.runUntil(20_000);
  const before = ticketKey(world.nodes[2]!);
  change(world.nodes[4]!, (store, nowMs, out) => {
    assert.equal(store.renewTicketKey(nowMs, out), 'done');
    assert.equal(store.renewTicketKey(nowMs, out), 'pending');
  });
  world.runUntil(23_000);
  assert.equal(ticketKey(world.nodes[2]!), before);
  world.runUntil(26_000);
  assert.equal(distinct(ticketKey), 1);
  assert.notEqual(ticketKey(world.nodes[2]!), before);
});

test('the maker of ticket keys may die, restart or be cut off', () => {
  const { world, ticketKey, distinct } = meshOf(8, 4);
  world.runUntil(15_000);
  const before = ticketKey(world.nodes[3]!);
  world.crash(world.nodes[0]!, true);
  world.runUntil(50_000);
  assert.equal(distinct(ticketKey), 1);
  assert.notEqual(ticketKey(world.nodes[3]!), before);
  world.start(world.nodes[0]!);
  world.network.partition((node) => Math.floor(node / 4));
  world.runUntil(100_000);
  assert.equal(distinct(ticketKey), 2);
  world.network.heal();
  world.runUntil(150_000);
  assert.equal(distinct(ticketKey), 1);
});

test('of two ticket keys with one number the same one stays, whatever comes first', () => {
  const record = (number: number, byte: number) => ({
    number,
    secret: new Uint8Array(48).fill(byte),
    ageMs: 5,
    pendingMs: 0,
  });
  const records = [record(1, 1), record(2, 2), record(2, 3), record(3, 4), record(4, 5)];
  fc.assert(
    fc.property(fc.shuffledSubarray(records, { minLength: records.length }), (order) => {
      const epochs = new TicketEpochs();
      for (const one of order) epochs.merge(0, one);
      assert.deepEqual(
        epochs.all.map(({ number, secret: key }) => [number, key[0]]),
        [
          [2, 3],
          [3, 4],
          [4, 5],
        ],
      );
    }),
  );
});

test('the state of the keys has golden bytes and its parser never throws', () => {
  const state = {
    secrets: [secret(1)],
    used: 0x01020304,
    useVersion: 2,
    retired: [5],
    epochs: [{ number: 7, secret: new Uint8Array(48).fill(8), ageMs: 300, pendingMs: 0 }],
  };
  const bytes = encodeKeyState(state);
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    `0a20${'01'.repeat(32)}15040302011802` + `25050000002a3908071230${'08'.repeat(48)}18ac022000`,
  );
  assert.deepEqual(decodeKeyState(bytes), state);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 5 }),
      fc.nat(bytes.length),
      (changes, cut) => {
        const broken = bytes.slice(0, cut);
        for (const [at, value] of changes) if (at < cut) broken[at] = value;
        decodeKeyState(broken);
      },
    ),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (random) => {
      decodeKeyState(random);
    }),
  );
});
