import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anycastTopology } from '../../bench/lab/topology.ts';
import {
  linkCommands,
  namespaceCommands,
  namespacePattern,
  nodeCommands,
  sysctls,
} from '../../bench/lab/wiring.ts';

const topology = anycastTopology({ pops: 2 });
const node = (name: string) => topology.nodes.find((plan) => plan.name === name)!;

test('both ends of every link are born inside a namespace of the lab', () => {
  const lines = linkCommands(topology, '1a2b');
  assert.equal(lines.length, topology.links.length);
  for (const line of lines) {
    assert.match(
      line,
      /^link add name \S+ netns hf1a2b-\S+ type veth peer name \S+ netns hf1a2b-\S+$/,
    );
  }
});

test('every namespace carries the id of its lab, and the pattern knows them from another lab’s', () => {
  for (const line of namespaceCommands(topology, '1a2b')) {
    const name = line.replace('netns add ', '');
    assert.match(name, namespacePattern('1a2b'));
    assert.doesNotMatch(name, namespacePattern('1a2'));
    assert.doesNotMatch(name, namespacePattern('ffff'));
  }
});

test('a PoP gets the VIP on loopback and its two links, IPv6 without duplicate address detection', () => {
  assert.deepEqual(nodeCommands(topology, node('pop-b')), [
    'addr add 192.0.2.10/32 dev lo',
    'addr add 2001:db8::10/128 dev lo nodad',
    'link set lo up',
    'addr add 203.0.113.134/30 dev uplink',
    'addr add 2001:db8:a2::2/64 dev uplink nodad',
    'link set uplink up',
    'addr add 198.51.100.2/24 dev underlay',
    'addr add 2001:db8:b::2/64 dev underlay nodad',
    'link set underlay up',
  ]);
});

test('a client knows the way to the VIP and to nothing else', () => {
  const routes = nodeCommands(topology, node('client-1')).filter((line) =>
    line.startsWith('route'),
  );
  assert.deepEqual(routes, [
    'route add 192.0.2.0/24 via 203.0.113.1',
    'route add 2001:db8::/48 via 2001:db8:c1::1',
  ]);
});

test('the backbone is a bridge of all its links', () => {
  const lines = nodeCommands(topology, node('backbone'));
  assert.equal(lines.filter((line) => line.includes('type bridge')).length, 1);
  assert.equal(lines.filter((line) => line.includes('master backbone')).length, 3);
});

test('only the router forwards packets', () => {
  assert.equal(sysctls('router')['net.ipv4.ip_forward'], 1);
  for (const kind of ['client', 'pop', 'origin', 'backbone'] as const) {
    assert.equal(sysctls(kind)['net.ipv4.ip_forward'], undefined);
    assert.equal(sysctls(kind)['net.ipv6.conf.all.forwarding'], undefined);
  }
});
