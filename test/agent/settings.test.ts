import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentSettings, configDigest } from '../../src/agent/settings.ts';
import { parseConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import type { Config } from '../../src/config/schema.ts';

const KEY = 'ab'.repeat(32);
const MESH = `mesh: {listen: "198.51.100.1:7946", keys: "${KEY}"}\n`;
const DATAPATH = 'datapath: {uplink: eth0, underlay: 198.51.100.1}\n';
const VIPS = 'vips: ["192.0.2.10:443"]\nnode: a\n';

function parse(text: string, purpose: 'agent' | 'edge' = 'agent'): Config {
  return parseConfig(text, undefined, { purpose }).config;
}

function complaints(text: string, purpose: 'agent' | 'edge' = 'agent'): string[] {
  try {
    parse(text, purpose);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

test('an agent needs neither sites nor certificates, an edge does', () => {
  assert.deepEqual(complaints(VIPS + MESH + DATAPATH), []);
  assert.match(complaints(VIPS + MESH + DATAPATH, 'edge').join('\n'), /sites: is missing/);
});

test('mesh and datapath need each other, and a VIP', () => {
  assert.match(complaints(VIPS + MESH).join(), /^mesh: needs "datapath"/);
  assert.match(complaints(VIPS + DATAPATH).join(), /^datapath: needs "mesh"/);
  assert.match(complaints(MESH + DATAPATH).join(), /^datapath: needs "vips"/);
  assert.match(
    complaints(`vips: [":443"]\n${MESH}${DATAPATH}`).join(),
    /^vips\[0\]: must name one/,
  );
  assert.match(complaints(VIPS).join(), /nothing to heal with: add "mesh", "datapath" and "vips"/);
});

test('the mesh speaks on the underlay address, however that is spelled', () => {
  const other = 'datapath: {uplink: eth0, underlay: 198.51.100.2}\n';
  assert.match(complaints(VIPS + MESH + other).join(), /^mesh\.listen: must be on the underlay/);
  const mesh6 = `mesh: {listen: "[2001:db8:b::1]:7946", keys: "${KEY}"}\n`;
  const data6 = 'datapath: {uplink: eth0, underlay: "2001:0db8:000b::1"}\n';
  assert.deepEqual(complaints(VIPS + mesh6 + data6), []);
});

test('a key that is none is refused without being shown', () => {
  const text = complaints(VIPS + MESH.replace(KEY, 'not-a-key-but-secret') + DATAPATH).join();
  assert.match(text, /mesh\.keys.*is not a key of 32 bytes.*holdfast keys generate/);
  assert.doesNotMatch(text, /secret/);
});

test('keys in base64 and hexadecimal are the same bytes', () => {
  const base64 = Buffer.from(KEY, 'hex').toString('base64');
  const [a, b] = [KEY, base64].map(
    (key) => agentSettings(parse(VIPS + MESH.replace(KEY, key) + DATAPATH), '1').mesh.keys,
  );
  assert.deepEqual(a, b);
  assert.deepEqual([...(a?.[0] ?? [])], new Array(32).fill(0xab));
});

test('nodes of one cluster agree on cookie, seed and digest, whatever is their own', () => {
  const one = parse(VIPS + MESH + DATAPATH);
  const two = parse(
    `${VIPS.replace('node: a', 'node: b')}workers: 3\nadmin: off\n${MESH.replace('.1:', '.2:')}${DATAPATH.replace('100.1', '100.2').replace('eth0', 'eth1')}`,
  );
  const [a, b] = [one, two].map((config) => agentSettings(config, '1'));
  assert.equal(a?.datapath.cookie, b?.datapath.cookie);
  assert.equal(a?.datapath.hashSeed, b?.datapath.hashSeed);
  assert.equal(configDigest(one), configDigest(two));
});

test('another secret moves the flows, another VIP shows as drift', () => {
  const one = parse(VIPS + MESH + DATAPATH);
  const secret = parse(VIPS + MESH + DATAPATH.replace('}', ', secret: "known to all"}'));
  const seeds = [one, secret].map((config) => agentSettings(config, '1').datapath.hashSeed);
  assert.notEqual(seeds[0], seeds[1]);
  const other = parse(VIPS.replace('443', '8443') + MESH + DATAPATH);
  assert.notEqual(configDigest(one), configDigest(other));
});
