import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { flowKey as flow, flowNumber } from '../../bench/mesh/flow.ts';
import {
  isMapped,
  isNewer,
  KEY_BYTES,
  KEY_WORDS,
  keyHash,
  readKey,
  readShortKey,
  SHORT_KEY_BYTES,
  ticketDigest,
  writeKey,
  writeShortKey,
} from '../../src/proto/ticket-key.ts';
import { TicketChanges } from '../../src/sync/ticket-changes.ts';
import { NONE } from '../../src/sync/ticket-columns.ts';
import { TicketStore } from '../../src/sync/ticket-store.ts';
import type { Tenure } from '../../src/sync/ticket-tenure.ts';

const BUCKETS = 256;

const bucketOf = (n: number): number => (n * 37) % BUCKETS;

function store(capacity = 10_000, changes?: TicketChanges): TicketStore {
  const options = { capacity, buckets: BUCKETS, self: 0, boot: 7, seed: 99 };
  return new TicketStore(changes === undefined ? options : { ...options, changes });
}

/** Numbers of the flows in a tenure, through its chains. */
function listed(tickets: TicketStore, tenure: Tenure): number[] {
  const key = new Uint32Array(KEY_WORDS);
  const found: number[] = [];
  for (let chain = 0; chain < tenure.chains; chain++) {
    let count = 0;
    let digest = 0;
    for (let at = tickets.firstInChain(tenure, chain); at !== NONE; at = tickets.nextInChain(at)) {
      tickets.readKey(at, key);
      const n = flowNumber(key);
      found.push(n);
      assert.equal(tenure.chainOf(tickets.bucketOf(at)), chain);
      assert.equal(tickets.bucketOf(at), bucketOf(n));
      assert.equal(tickets.tenureOfTicket(at), tenure);
      digest ^= ticketDigest(key, tickets.generationOf(at));
      count++;
    }
    assert.equal(tenure.counts[chain], count);
    assert.equal(tenure.digests[chain], digest);
  }
  assert.equal(found.length, tenure.count);
  return found.sort((a, b) => a - b);
}

test('keys go through bytes and back, short ones only when both addresses are IPv4', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES }),
      fc.boolean(),
      (raw, mapped) => {
        if (mapped) {
          for (const at of [0, 16]) raw.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255], at);
        }
        const key = new Uint32Array(KEY_WORDS);
        readKey(raw, 0, key);
        const back = new Uint8Array(KEY_BYTES);
        writeKey(key, back, 0);
        assert.deepEqual(back, raw);
        assert.equal(isMapped(key), mapped);
        if (!mapped) return;
        const short = new Uint8Array(SHORT_KEY_BYTES + 1);
        writeShortKey(key, short, 1);
        const again = new Uint32Array(KEY_WORDS);
        readShortKey(short, 1, again);
        assert.deepEqual(again, key);
      },
    ),
  );
});

test('the digest of a ticket is what every other version computes', () => {
  assert.equal(ticketDigest(flow(1), 1), -1084828842);
  assert.equal(keyHash(flow(1), 0), -1719442414);
});

test('generations are compared as serial numbers, across the wrap', () => {
  assert.ok(isNewer(2, 1) && !isNewer(1, 2) && !isNewer(5, 5));
  assert.ok(isNewer(3, 0xffff_fffe) && !isNewer(0xffff_fffe, 3));
});

test('a store does what a map of (owner, flow) does, through any history', () => {
  const step = fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'boot', 'sweep', 'pause', 'resume'),
    peer: fc.integer({ min: 0, max: 3 }),
    n: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 400 })),
    generation: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const tickets = store();
      const model = new Map<string, { n: number; peer: number; generation: number; at: number }>();
      const boots = [7, 1, 1, 1];
      const paused = [false, false, false, false];
      steps.forEach(({ kind, peer, n, generation }, at) => {
        const tenure = tickets.open(peer, boots[peer]!)!;
        const name = `${peer}/${n}`;
        const known = model.get(name);
        if (kind === 'put') {
          const result = tickets.put(tenure, bucketOf(n), flow(n), generation);
          if (known === undefined) assert.equal(result, 'added');
          else if (known.generation === generation) assert.equal(result, 'same');
          else if (known.generation > generation) assert.equal(result, 'stale');
          else assert.equal(result, 'renewed');
          if (result === 'added' || result === 'renewed')
            model.set(name, { n, peer, generation, at });
        } else if (kind === 'delete') {
          const result = tickets.delete(tenure, flow(n), generation);
          if (known === undefined) assert.equal(result, 'absent');
          else if (known.generation > generation) assert.equal(result, 'newer');
          else {
            assert.equal(result, 'removed');
            model.delete(name);
          }
        } else if (kind === 'boot' && peer !== 0) {
          boots[peer]!++;
          tickets.open(peer, boots[peer]!);
          paused[peer] = false;
          for (const [key, value] of model) if (value.peer === peer) model.delete(key);
        } else if (kind === 'sweep') tickets.sweep(n % 20);
        else if (peer !== 0 && (kind === 'pause' || kind === 'resume')) {
          tenure.state = kind === 'pause' ? 'paused' : 'live';
          paused[peer] = kind === 'pause';
        }
      });
      for (let peer = 0; peer < 4; peer++) {
        const tenure = tickets.tenureOf(peer);
        const expected = [...model.values()].filter((value) => value.peer === peer);
        const numbers = expected.map(({ n }) => n).sort((a, b) => a - b);
        assert.deepEqual(tenure === undefined ? [] : listed(tickets, tenure), numbers);
      }
      for (let n = 0; n <= 400; n++) {
        const all = [...model.values()]
          .filter((value) => value.n === n)
          .sort((a, b) => b.at - a.at);
        const live = all.filter(({ peer }) => !paused[peer]);
        const found = tickets.find(flow(n));
        if (live.length === 0) assert.equal(found, NONE);
        else assert.equal(tickets.tenureOfTicket(found).peer, live[0]!.peer);
        const owners: Tenure[] = [];
        const count = tickets.ownersOf(flow(n), owners);
        const order = [...live, ...all.filter(({ peer }) => paused[peer])].map(({ peer }) => peer);
        assert.deepEqual(
          owners.slice(0, count).map(({ peer }) => peer),
          order,
        );
      }
      while (tickets.sweep(10));
      assert.equal(tickets.size, model.size);
      assert.equal(tickets.voided, 0);
    }),
    { numRuns: 120 },
  );
});

test('the index stays right while it grows to thousands of lists and shrinks again', () => {
  const tickets = store(100_000);
  const tenure = tickets.open(1, 1)!;
  for (let n = 0; n < 50_000; n++) tickets.put(tenure, bucketOf(n), flow(n), 1);
  for (let n = 0; n < 50_000; n += 3) assert.equal(tickets.delete(tenure, flow(n), 1), 'removed');
  for (let n = 0; n < 50_000; n++) assert.equal(tickets.find(flow(n)) === NONE, n % 3 === 0);
  assert.equal(listed(tickets, tenure).length, tickets.size);
});

test('a new boot voids every older ticket without touching them; sweeping is paced', () => {
  const tickets = store();
  const old = tickets.open(1, 1)!;
  for (let n = 0; n < 1_000; n++) tickets.put(old, bucketOf(n), flow(n), 1);
  const fresh = tickets.open(1, 2)!;
  assert.equal(tickets.find(flow(5)), NONE);
  assert.equal(tickets.size, 1_000);
  tickets.put(fresh, bucketOf(5), flow(5), 1);
  assert.equal(tickets.tenureOfTicket(tickets.find(flow(5))), fresh);
  assert.equal(tickets.sweep(400), true);
  assert.equal(tickets.size, 601);
  assert.equal(tickets.sweep(600), false);
  assert.deepEqual(listed(tickets, fresh), [5]);
});

test('a full store lets unused tickets of others go, never its own, and counts them', () => {
  const tickets = store(1_000);
  const tenure = tickets.open(1, 1)!;
  for (let n = 0; n < 400; n++) tickets.put(tickets.own, bucketOf(n), flow(n), 1);
  for (let n = 1_000; n < 1_600; n++) tickets.put(tenure, bucketOf(n), flow(n), 1);
  for (let n = 1_000; n < 1_100; n++) tickets.find(flow(n));
  for (let n = 2_000; n < 2_400; n++) {
    // A run of used tickets may cost one refusal; the next insert finds room.
    if (tickets.put(tenure, bucketOf(n), flow(n), 1) === 'full')
      tickets.put(tenure, bucketOf(n), flow(n), 1);
  }
  assert.equal(tickets.size, 1_000);
  assert.equal(tickets.own.count, 400);
  assert.equal(tickets.evictions, 400);
  assert.equal(tenure.evicted, 400);
  for (let n = 1_000; n < 1_100; n++) assert.notEqual(tickets.find(flow(n)), NONE);
  listed(tickets, tenure);
});

test('a store full of its own tickets refuses instead of losing one', () => {
  const tickets = store(100);
  for (let n = 0; n < 100; n++) tickets.put(tickets.own, bucketOf(n), flow(n), 1);
  assert.equal(tickets.put(tickets.own, 0, flow(100), 1), 'full');
  assert.equal(tickets.put(tickets.open(1, 1)!, 0, flow(100), 1), 'full');
  assert.equal(tickets.size, 100);
});

test('changes name the owner that answers now, for every ticket that came or went', () => {
  const changes = new TicketChanges(8);
  const tickets = store(1_000, changes);
  const seen: string[] = [];
  const reader = {
    learned: (key: Uint32Array, owner: number) => seen.push(`${key[8]! & 0xffff}>${owner}`),
    voided: (key: Uint32Array) => seen.push(`${key[8]! & 0xffff}>none`),
  };
  const ports = (n: number): number => flow(n)[8]! & 0xffff;
  const one = tickets.open(1, 1)!;
  const two = tickets.open(2, 1)!;
  tickets.put(one, 0, flow(1), 1);
  tickets.put(two, 0, flow(1), 1);
  tickets.put(tickets.own, 0, flow(2), 1);
  tickets.delete(two, flow(1), 1);
  tickets.delete(one, flow(1), 1);
  assert.equal(changes.drain(reader, 3), 3);
  assert.equal(changes.drain(reader, 3), 1);
  const p = ports(1);
  assert.deepEqual(seen, [`${p}>1`, `${p}>2`, `${p}>1`, `${p}>none`]);
  assert.equal(changes.takeOverflow(), false);
  for (let n = 0; n < 9; n++) tickets.put(one, 0, flow(10 + n), 1);
  assert.equal(changes.takeOverflow(), true);
  assert.equal(changes.takeOverflow(), false);
  assert.equal(changes.pending, 1);
});
