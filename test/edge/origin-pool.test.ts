import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseOrigin } from '../../src/config/origin.ts';
import type { BalanceConfig, StickyConfig } from '../../src/config/schema.ts';
import { OriginPool, type OriginState, type PickKey } from '../../src/edge/origin-pool.ts';

const EJECTION = { failures: 2, baseMs: 1_000, maxMs: 8_000 };

function poolOf(
  count: number,
  balance: BalanceConfig = 'round-robin',
  more: { limit?: number; sticky?: StickyConfig; random?: () => number } = {},
): OriginPool {
  return new OriginPool({
    origins: Array.from({ length: count }, (_, i) => parseOrigin(`o${i}:80`)),
    balance,
    ejection: EJECTION,
    connectionsPerOrigin: more.limit ?? 1_000_000,
    random: more.random ?? (() => 0),
    ...(more.sticky === undefined ? {} : { sticky: more.sticky }),
  });
}

function keyOf(
  clientAddress = '192.0.2.1',
  cookie?: string,
  headers: Record<string, string> = {},
): PickKey {
  return { clientAddress, cookie, header: (name) => headers[name.toLowerCase()] };
}

function originAt(pool: OriginPool, index: number): OriginState {
  return pool.origins[index]!;
}

function indexOf(picked: ReturnType<OriginPool['pick']>): number | string | undefined {
  return typeof picked === 'object' ? picked.index : picked;
}

function picks(pool: OriginPool, times: number, key = keyOf()): string {
  return Array.from({ length: times }, () => indexOf(pool.pick(key, 0, undefined))).join('');
}

test('round-robin goes in turn and skips who is out', () => {
  const pool = poolOf(3);
  assert.equal(picks(pool, 6), '012012');
  pool.setHealthy(originAt(pool, 1).id, false);
  assert.equal(picks(pool, 4), '0202');
  pool.setHealthy(originAt(pool, 1).id, true);
  assert.equal(picks(pool, 4), '0120');
});

test('round-robin begins at random, so that many workers do not all begin with one origin', () => {
  assert.equal(picks(poolOf(3, 'round-robin', { random: () => 0.99 }), 3), '201');
});

test('a retry does not move the turn', () => {
  for (const balance of ['round-robin', 'least-connections'] as const) {
    const pool = poolOf(2, balance);
    const begun: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      const picked = pool.pick(keyOf(), 0, undefined) as OriginState;
      begun.push(picked.index);
      if (picked.index === 0) pool.pick(keyOf(), 0, [picked]);
    }
    assert.equal(begun.join(''), '010101', balance);
  }
});

test('least-connections takes the least busy, in turn among equals', () => {
  const pool = poolOf(3, 'least-connections');
  assert.equal(picks(pool, 6), '012012');
  pool.acquire(originAt(pool, 0));
  pool.acquire(originAt(pool, 0));
  pool.acquire(originAt(pool, 1));
  assert.equal(picks(pool, 3), '222');
  pool.release(originAt(pool, 1));
  assert.equal(picks(pool, 4), '1212');
});

test('a hash sends one client always to the same origin, and uses all origins', () => {
  const pool = poolOf(4, 'hash-client');
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 4_000; i++) {
    const key = keyOf(`10.${i >> 8}.${i & 255}.7`);
    const first = pool.pick(key, 0, undefined) as OriginState;
    assert.equal(pool.pick(key, 0, undefined), first);
    counts[first.index]! += 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1_150, counts.join());
});

test('the same hash on every node, whatever the order of origins', () => {
  const origins = ['a:1', 'b:1', 'c:1'].map(parseOrigin);
  const make = (list: typeof origins) =>
    new OriginPool({
      origins: list,
      balance: 'hash-client',
      ejection: EJECTION,
      connectionsPerOrigin: 9,
      random: () => 0.5,
    });
  const one = make(origins);
  const other = make(origins.toReversed());
  for (let i = 0; i < 100; i++) {
    const key = keyOf(`2001:db8::${i.toString(16)}`);
    assert.equal(
      (one.pick(key, 0, undefined) as OriginState).id,
      (other.pick(key, 0, undefined) as OriginState).id,
    );
  }
});

test('when an origin goes away, its clients alone move, and they move back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 8 }),
      fc.nat(7),
      fc.array(fc.ipV4(), { minLength: 20 }),
      (count, gone, clients) => {
        const pool = poolOf(count, 'hash-client');
        const choose = () =>
          clients.map((client) => indexOf(pool.pick(keyOf(client), 0, undefined)));
        const before = choose();
        const out = originAt(pool, gone % count);
        pool.setHealthy(out.id, false);
        const during = choose();
        for (const [i, index] of before.entries()) {
          if (index === out.index) assert.notEqual(during[i], index);
          else assert.equal(during[i], index);
        }
        pool.setHealthy(out.id, true);
        assert.deepEqual(choose(), before);
      },
    ),
    { numRuns: 300 },
  );
});

test('hashes a header or a cookie, and the client’s address when it is missing', () => {
  const byHeader = poolOf(8, { hashHeader: 'X-User' });
  const byCookie = poolOf(8, { hashCookie: 'sid' });
  const byClient = poolOf(8, 'hash-client');
  const used = new Set<unknown>();
  for (let i = 0; i < 40; i++) {
    const clients = [keyOf('192.0.2.1', `x=1; sid=s${i}`, { 'x-user': `u${i}` })];
    clients.push(keyOf('192.0.2.2', `sid=s${i}`, { 'x-user': `u${i}` }));
    assert.equal(picks(byHeader, 1, clients[0]), picks(byHeader, 1, clients[1]));
    assert.equal(picks(byCookie, 1, clients[0]), picks(byCookie, 1, clients[1]));
    used.add(picks(byHeader, 1, clients[0]));
    const bare = keyOf(`192.0.2.${i}`);
    assert.equal(picks(byHeader, 1, bare), picks(byClient, 1, bare));
    assert.equal(picks(byCookie, 1, bare), picks(byClient, 1, bare));
  }
  assert.ok(used.size >= 6);
});

test('all full is saturated, none healthy is undefined', () => {
  for (const balance of ['round-robin', 'least-connections', 'hash-client'] as const) {
    const pool = poolOf(2, balance, { limit: 1 });
    pool.acquire(originAt(pool, 0));
    assert.equal(picks(pool, 2), '11');
    pool.acquire(originAt(pool, 1));
    assert.equal(pool.pick(keyOf(), 0, undefined), 'saturated');
    pool.setHealthy(originAt(pool, 0).id, false);
    assert.equal(pool.pick(keyOf(), 0, undefined), 'saturated');
    pool.setHealthy(originAt(pool, 1).id, false);
    assert.equal(pool.pick(keyOf(), 0, undefined), undefined);
    pool.release(originAt(pool, 0));
    pool.setHealthy(originAt(pool, 0).id, true);
    assert.equal(indexOf(pool.pick(keyOf(), 0, undefined)), 0);
  }
});

test('an origin that was tried is taken again only when no other is free', () => {
  const pool = poolOf(2);
  const [first, second] = [originAt(pool, 0), originAt(pool, 1)];
  for (let i = 0; i < 3; i++) assert.equal(pool.pick(keyOf(), 0, [first]), second);
  assert.ok(pool.pick(keyOf(), 0, [first, second]));
  pool.setHealthy(second.id, false);
  assert.equal(pool.pick(keyOf(), 0, [first]), first);
});

test('an ejected origin rests and comes back', () => {
  const pool = poolOf(2);
  const first = originAt(pool, 0);
  assert.equal(pool.failed(first, 0), false);
  assert.equal(pool.failed(first, 0), true);
  assert.equal(picks(pool, 2), '11');
  const later = [0, 1].map(() => indexOf(pool.pick(keyOf(), 1_000, undefined)));
  assert.deepEqual(later.toSorted(), [0, 1]);
});

test('an ejected origin is tried when active checks leave nothing else', () => {
  const pool = poolOf(2);
  pool.failed(originAt(pool, 0), 0);
  pool.failed(originAt(pool, 0), 0);
  pool.setHealthy(originAt(pool, 1).id, false);
  assert.equal(indexOf(pool.pick(keyOf(), 0, undefined)), 0);
  assert.equal(indexOf(pool.pick(keyOf(), 0, [originAt(pool, 0)])), 0);
  pool.setHealthy(originAt(pool, 0).id, false);
  assert.equal(pool.pick(keyOf(), 0, undefined), undefined);
});

test('a full origin is waited for rather than an ejected one tried', () => {
  const pool = poolOf(2, 'round-robin', { limit: 1 });
  pool.failed(originAt(pool, 0), 0);
  pool.failed(originAt(pool, 0), 0);
  pool.acquire(originAt(pool, 1));
  assert.equal(pool.pick(keyOf(), 0, undefined), 'saturated');
});

test('a sticky cookie beats the balance while its origin is usable', () => {
  const pool = poolOf(3, 'round-robin', { limit: 1, sticky: { cookie: 'c', maxAgeS: 0 } });
  const named = originAt(pool, 1);
  const key = keyOf('192.0.2.1', `x=1; c=${named.id}`);
  for (let i = 0; i < 3; i++) assert.equal(pool.pick(key, 0, undefined), named);
  assert.notEqual(pool.pick(key, 0, [named]), named);
  pool.acquire(named);
  assert.notEqual(pool.pick(key, 0, undefined), named);
  pool.release(named);
  pool.setHealthy(named.id, false);
  assert.notEqual(pool.pick(key, 0, undefined), named);
  assert.ok(pool.pick(keyOf('192.0.2.1', 'c=nobody'), 0, undefined));
});

test('the cookie is set only when the request does not already name this origin', () => {
  const pool = poolOf(2, 'round-robin', { sticky: { cookie: 'c', maxAgeS: 60 } });
  const [first, second] = [originAt(pool, 0), originAt(pool, 1)];
  assert.equal(pool.needsStickyCookie(undefined, first), true);
  assert.equal(pool.needsStickyCookie(`c=${second.id}`, first), true);
  assert.equal(pool.needsStickyCookie(`c=${first.id}`, first), false);
  assert.match(pool.stickyCookie(first, true) ?? '', new RegExp(`^c=${first.id}; .*Secure$`));
  const plain = poolOf(2);
  assert.equal(plain.needsStickyCookie(undefined, originAt(plain, 0)), false);
  assert.equal(plain.stickyCookie(originAt(plain, 0), true), undefined);
});

test('places in flight come back and never below zero', () => {
  const pool = poolOf(1);
  const origin = originAt(pool, 0);
  pool.acquire(origin);
  pool.release(origin);
  pool.release(origin);
  assert.equal(origin.inFlight, 0);
  assert.equal(origin.requests, 1);
});

test('a snapshot is plain data', () => {
  const pool = poolOf(2);
  pool.acquire(originAt(pool, 0));
  pool.failed(originAt(pool, 0), 0);
  pool.failed(originAt(pool, 0), 0);
  assert.deepEqual(JSON.parse(JSON.stringify(pool.snapshot(400.5)))[0], {
    id: parseOrigin('o0:80').id,
    url: 'http://o0:80',
    healthy: true,
    ejectedForMs: 600,
    inFlight: 1,
    consecutiveFailures: 1,
    requests: 1,
    failures: 2,
    ejections: 1,
  });
});

test('a healthy origin that is free is always found, and nothing else is given', () => {
  const balance = fc.constantFrom<BalanceConfig>(
    'round-robin',
    'least-connections',
    'hash-client',
    { hashHeader: 'x' },
    { hashCookie: 'x' },
  );
  const states = fc.array(
    fc.record({
      healthy: fc.boolean(),
      busy: fc.boolean(),
      failing: fc.boolean(),
      tried: fc.boolean(),
    }),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(balance, states, fc.ipV6(), (kind, facts, client) => {
      const pool = poolOf(facts.length, kind, { limit: 1 });
      for (const [i, fact] of facts.entries()) {
        const origin = originAt(pool, i);
        if (fact.busy) pool.acquire(origin);
        if (fact.failing) for (let n = 0; n < 2; n++) pool.failed(origin, 0);
        pool.setHealthy(origin.id, fact.healthy);
      }
      const tried = pool.origins.filter((_, i) => facts[i]!.tried);
      const picked = pool.pick(keyOf(client), 0, tried);
      const healthy = pool.origins.filter((origin) => origin.healthy);
      const free = healthy.filter((origin) => origin.inFlight === 0);
      const inService = free.filter((origin) => !origin.isEjected(0));
      const best = inService.filter((origin) => !tried.includes(origin));
      if (typeof picked === 'object') {
        assert.ok(free.includes(picked));
        if (inService.length > 0) assert.ok(inService.includes(picked));
        if (best.length > 0) assert.ok(best.includes(picked));
      } else if (picked === 'saturated') {
        assert.equal(inService.length, 0);
        assert.ok(healthy.some((origin) => origin.inFlight > 0));
      } else {
        assert.equal(healthy.length, 0);
      }
    }),
    { numRuns: 5_000 },
  );
});
