import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  backboneRules,
  splitRoutes,
  splitRoutesRemoval,
  splitRules,
  ttlBoxRules,
} from '../../bench/lab/faults/rulesets.ts';
import { anycastTopology } from '../../bench/lab/topology.ts';

const topology = anycastTopology({ pops: 3 });
const [a, b, c] = topology.pops;

test('each PoP has a mark, and each mark a table that leads to it, in both families', () => {
  const lines = splitRoutes(topology);
  assert.deepEqual(lines.slice(0, 4), [
    '-4 rule add pref 101 fwmark 1 lookup 1001',
    `-4 route replace 192.0.2.0/24 via ${a?.uplinkAddress[4]} dev pop-a table 1001`,
    '-6 rule add pref 101 fwmark 1 lookup 1001',
    `-6 route replace 2001:db8::/48 via ${a?.uplinkAddress[6]} dev pop-a table 1001`,
  ]);
  assert.equal(lines.length, 12);
});

test('what a split adds its removal names again', () => {
  const removal = splitRoutesRemoval(topology);
  for (const line of splitRoutes(topology)) {
    const pref = /rule add (pref \d+)/.exec(line)?.[1];
    const table = /route replace .*(table \d+)/.exec(line)?.[1];
    assert.ok(
      removal.some((undo) => undo.endsWith(pref ?? table ?? '?')),
      line,
    );
  }
});

test('by chance, every PoP is as likely as another; SYNs and the rest are told apart by flags', () => {
  assert.match(splitRules(topology, { by: 'packet' }), /numgen random mod 3 offset 1/);
  const syn = splitRules(topology, { by: 'syn' });
  // The later rule has the last word.
  assert.ok(syn.indexOf('mark set 2') < syn.indexOf('== syn meta mark set 1'));
});

test('only the split of errors looks at what the router itself sends', () => {
  const own = (rules: string) => rules.slice(rules.indexOf('chain own'));
  assert.match(
    own(splitRules(topology, { by: 'errors' })),
    /icmpv6 type packet-too-big meta mark set 2/,
  );
  for (const by of ['packet', 'syn', 'ttl', 'ecn'] as const) {
    assert.doesNotMatch(own(splitRules(topology, { by })), /mark set/, by);
  }
});

test('the box on the clients’ side and the router agree on the TTL', () => {
  const ttl = /ip ttl set (\d+)/.exec(ttlBoxRules())?.[1];
  assert.match(splitRules(topology, { by: 'ttl' }), new RegExp(`ip ttl ${ttl} meta mark set 1`));
});

test('a PoP that is cut off hears no other PoP, and these do not hear it, but each other', () => {
  const cutOff = [2];
  const atC = backboneRules(topology, c!, { cutOff });
  assert.match(atC, /ip saddr \{ 198\.51\.100\.1, 198\.51\.100\.2 \} drop/);
  const atA = backboneRules(topology, a!, { cutOff });
  assert.match(atA, /ip saddr \{ 198\.51\.100\.3 \} drop/);
  assert.match(atA, /ip6 saddr \{ 2001:db8:b::3 \} drop/);
  assert.doesNotMatch(atA, /198\.51\.100\.2/);
});

test('loss spares the tunnel and whatever does not come from a PoP', () => {
  const rules = backboneRules(topology, b!, { lossPercent: 30 });
  assert.match(rules, /udp dport != 4789 numgen random mod 100 < 30 drop/);
  assert.match(rules, /meta l4proto tcp numgen random mod 100 < 30 drop/);
  assert.doesNotMatch(rules, /198\.51\.100\.101/);
  assert.doesNotMatch(backboneRules(topology, b!, {}), /drop/);
});
