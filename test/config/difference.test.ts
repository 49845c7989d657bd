import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineConfig } from '../../src/config/define.ts';
import { configDifference } from '../../src/config/difference.ts';
import type { ConfigInput } from '../../src/config/schema.ts';

const base: ConfigInput = {
  listen: [':8080'],
  workers: 1,
  sites: { 'a.example': { routes: { '/*': 'h:1', '/x': 'h:2' } } },
};

const difference = (change: Partial<ConfigInput>) =>
  configDifference(defineConfig(base), defineConfig({ ...base, ...change })).map(
    ({ kind, what }) => `${kind} ${what}`,
  );

test('the same configuration, written in another way, is no difference', () => {
  assert.deepEqual(difference({ listen: [{ at: 'http://:8080' }] }), []);
});

test('listeners, sites, routes and settings are named', () => {
  assert.deepEqual(difference({ listen: [':8081'], workers: 2 }), [
    'added listener http://:8081',
    'removed listener http://:8080',
    'changed workers',
  ]);
  assert.deepEqual(
    difference({ sites: { 'a.example': { routes: { '/*': 'h:9', '/y': 'h:2' } } } }),
    ['changed route a.example/*', 'added route a.example/y', 'removed route a.example/x'],
  );
  assert.deepEqual(difference({ sites: { 'b.example': 'h:1' } }), [
    'added site b.example',
    'added route b.example/*',
    'removed site a.example',
    'removed route a.example/*',
    'removed route a.example/x',
  ]);
});

test('a listener that only gains PROXY protocol peers has changed', () => {
  assert.deepEqual(difference({ listen: [{ at: ':8080', proxyProtocolFrom: ['10.0.0.0/8'] }] }), [
    'changed listener http://:8080',
  ]);
});
