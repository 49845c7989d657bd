import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressText,
  canonicalAddress,
  flowEnds,
  flowKey,
  isIPv6Text,
  writeAddress,
} from '../../src/datapath/address-bytes.ts';
import { parseSocketList } from '../../src/datapath/socket-list.ts';

test('the two ends of a flow come back from its key', () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  const family = fc.oneof(fc.constant(fc.ipV4()), fc.constant(fc.ipV6()));
  fc.assert(
    fc.property(
      family.chain((ip) => fc.tuple(ip, ip)),
      port,
      port,
      ([client, vip], a, b) => {
        const key = flowKey({ address: client, port: a }, { address: vip, port: b });
        assert.deepEqual(flowEnds(key), {
          client: { address: canonicalAddress(client), port: a },
          vip: { address: canonicalAddress(vip), port: b },
        });
      },
    ),
  );
});

test('a mapped address is the IPv4 address', () => {
  assert.equal(canonicalAddress('::ffff:192.0.2.1'), '192.0.2.1');
  assert.ok(!isIPv6Text('::ffff:192.0.2.1'));
  assert.ok(isIPv6Text('2001:db8::1'));
  assert.equal(canonicalAddress('2001:0DB8:0:0::1'), '2001:db8::1');
});

test('bytes are in network order, IPv4 behind ::ffff', () => {
  const bytes = new Uint8Array(16);
  writeAddress('192.0.2.10', bytes, 0);
  assert.equal(Buffer.from(bytes).toString('hex'), '00000000000000000000ffffc000020a');
  assert.equal(addressText(bytes, 0), '192.0.2.10');
  for (const bad of ['', '192.0.2', '192.0.2.256', 'fe80::1%eth0', '2001:db8::g', '1']) {
    assert.throws(() => writeAddress(bad, bytes, 0), /not an IP address/);
  }
});

test('the kernel’s list of sockets is read, and nonsense in it is left out', () => {
  const text = `  sl  local_address rem_address   st tx_queue
   0: 0A0200C0:01BB 077100CB:C738 01 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: nonsense
   3: B80D0120000A00000000000010000000:01BB B80D0120000C00000000000007000000:0001 04 0`;
  const all = parseSocketList(text, () => true);
  assert.deepEqual(all, [
    {
      local: { address: '192.0.2.10', port: 443 },
      remote: { address: '203.0.113.7', port: 51_000 },
      state: 1,
    },
    {
      local: { address: '0.0.0.0', port: 443 },
      remote: { address: '0.0.0.0', port: 0 },
      state: 10,
    },
    {
      local: { address: '2001:db8:0:a00::10', port: 443 },
      remote: { address: '2001:db8:0:c00::7', port: 1 },
      state: 4,
    },
  ]);
  assert.equal(parseSocketList(text, (state) => state === 10).length, 1);
  fc.assert(fc.property(fc.string(), (junk) => Array.isArray(parseSocketList(junk, () => true))));
});
