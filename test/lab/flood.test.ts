import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import {
  FLOOD_MS_MAX,
  FLOOD_PACKETS_PER_S_MAX,
  type FloodPlan,
  packetsDue,
  packetsInAll,
  parseFloodNews,
} from '../../bench/lab/flood/plan.ts';
import { type FloodTarget, segmentSource, tcpChecksum } from '../../bench/lab/flood/segment.ts';
import { NOBODY } from '../../bench/lab/topology.ts';

const V4: FloodTarget = { host: '192.0.2.10', port: 80, sources: NOBODY[4], segment: 'syn' };
const V6: FloodTarget = { host: '2001:db8::10', port: 443, sources: NOBODY[6], segment: 'ack' };

const address = (bytes: Buffer) => ipaddr.fromByteArray([...bytes]).toString();
const take = (target: FloodTarget, seed: number, count: number): Buffer[] => {
  const next = segmentSource(target, seed);
  return Array.from({ length: count }, () => Buffer.from(next()));
};

test('an IPv4 SYN goes from an address of nobody to the VIP and is otherwise empty', () => {
  for (const packet of take(V4, 1, 200)) {
    assert.equal(packet.length, 40);
    assert.equal(packet[0], 0x45);
    assert.equal(packet[9], 6);
    const source = packet.subarray(12, 16);
    assert.ok(ipaddr.parse(address(source)).match(ipaddr.parseCIDR(NOBODY[4])), address(source));
    assert.equal(address(packet.subarray(16, 20)), V4.host);
    const tcp = packet.subarray(20);
    assert.ok(tcp.readUInt16BE(0) >= 1_024);
    assert.equal(tcp.readUInt16BE(2), 80);
    assert.equal(tcp.readUInt32BE(8), 0);
    assert.equal(tcp[13], 0x02);
    assert.equal(tcpChecksum(source, packet.subarray(16, 20), tcp), 0);
  }
});

test('an IPv6 ACK has a checksum that holds and sources of the prefix only', () => {
  for (const packet of take(V6, 1, 200)) {
    assert.equal(packet.length, 60);
    const source = packet.subarray(8, 24);
    assert.ok(ipaddr.parse(address(source)).match(ipaddr.parseCIDR(NOBODY[6])), address(source));
    const tcp = packet.subarray(40);
    assert.equal(tcp[13], 0x10);
    assert.equal(tcpChecksum(source, packet.subarray(24, 40), tcp), 0);
  }
});

test('the checksum is the one that a known segment carries', () => {
  // A SYN of Linux from 10.0.0.1:1000 to 10.0.0.2:80, computed by hand: words sum to 0xac8d.
  const tcp = Buffer.from('03e8005000000000000000005002ffff00000000', 'hex');
  const sum = tcpChecksum(Buffer.from([10, 0, 0, 1]), Buffer.from([10, 0, 0, 2]), tcp);
  let words = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6 + 20 + 0x03e8 + 0x0050 + 0x5002 + 0xffff;
  while (words > 0xffff) words = (words & 0xffff) + (words >>> 16);
  assert.equal(sum, 0xffff - words);
});

test('the same seed floods with the same packets, another one with others', () => {
  assert.deepEqual(take(V4, 3, 50), take(V4, 3, 50));
  assert.notDeepEqual(take(V4, 3, 50), take(V4, 4, 50));
});

test('no plan makes a flood faster, longer or larger than its bounds', () => {
  const plan: FloodPlan = { ...V4, seed: 1, packetsPerS: 1_000, forMs: 2_000 };
  assert.deepEqual(
    [-5, 0, 500, 2_000, 9_000].map((ms) => packetsDue(plan, ms)),
    [0, 0, 500, 2_000, 2_000],
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (packetsPerS, forMs) => {
      const all = packetsInAll({ ...plan, packetsPerS, forMs });
      assert.ok(all <= (FLOOD_PACKETS_PER_S_MAX * FLOOD_MS_MAX) / 1_000);
    }),
  );
});

test('only lines that say so are news of a flood', () => {
  assert.deepEqual(parseFloodNews('sent 12 failed 0'), { sent: 12, failed: 0 });
  fc.assert(
    fc.property(fc.string(), (line) => {
      assert.equal(parseFloodNews(line), undefined);
    }),
  );
});
