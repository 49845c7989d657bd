import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClientLimit, clientKey } from '../../src/edge/client-limit.ts';

test('a client has so many connections and no more', () => {
  const limit = new ClientLimit({ perClient: 2, total: 100 });
  assert.deepEqual(
    [1, 2, 3].map(() => limit.enter('192.0.2.1')),
    [true, true, false],
  );
  assert.equal(limit.enter('192.0.2.2'), true);
  limit.leave('192.0.2.1');
  assert.equal(limit.enter('192.0.2.1'), true);
  assert.equal(limit.total, 3);
});

test('all clients together have so many and no more', () => {
  const limit = new ClientLimit({ perClient: 9, total: 2 });
  assert.equal(limit.enter('192.0.2.1'), true);
  assert.equal(limit.enter('192.0.2.2'), true);
  assert.equal(limit.enter('192.0.2.3'), false);
  limit.setLimits({ perClient: 9, total: 3 });
  assert.equal(limit.enter('192.0.2.3'), true);
});

test('an IPv6 client is its /64, a mapped IPv4 address is that IPv4 address', () => {
  assert.equal(clientKey('2001:db8:1:2::1'), clientKey('2001:DB8:1:2:ffff::9'));
  assert.notEqual(clientKey('2001:db8:1:2::1'), clientKey('2001:db8:1:3::1'));
  assert.equal(clientKey('::ffff:192.0.2.1'), clientKey('192.0.2.1'));
  assert.equal(clientKey('fe80::1%eth0'), clientKey('fe80::2'));
  assert.notEqual(clientKey('::1'), clientKey('192.0.2.1'));
});

test('texts that are no address count as one client', () => {
  assert.equal(clientKey('nobody'), clientKey(''));
});

test('leaving without having entered changes nothing', () => {
  const limit = new ClientLimit({ perClient: 2, total: 2 });
  limit.leave('192.0.2.1');
  assert.equal(limit.total, 0);
  assert.equal(limit.enter('192.0.2.1'), true);
});

test('holds nothing once everybody has left', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 50 }), (addresses) => {
      const limit = new ClientLimit({ perClient: 3, total: 40 });
      const inside = [...addresses, ...addresses].filter((address) => limit.enter(address));
      assert.equal(limit.total, inside.length);
      assert.ok(limit.total <= 40);
      for (const address of inside) limit.leave(address);
      assert.equal(limit.total, 0);
      assert.equal(limit.clients, 0);
    }),
  );
});
