import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusText } from '../../src/cli/status.ts';
import type { NodeStatus } from '../../src/node.ts';

const status: NodeStatus = {
  state: 'running',
  degraded: ['origin http://10.0.1.6:80 of a.example/* is unhealthy'],
  version: '1.2.3',
  node: 'fra1-a',
  pop: 'fra1',
  pid: 100,
  uptimeMs: 90_061_000,
  config: { file: '/etc/h.yaml', loadedAt: '2026-01-01T00:00:00.000Z', refused: 'line 1\nline 2' },
  listeners: ['https://192.0.2.10:443'],
  connections: 3,
  requestsInFlight: 2,
  tunnels: 1,
  older: [],
  workers: [
    {
      slot: 0,
      pid: 101,
      state: 'up',
      uptimeMs: 5_000,
      crashes: 0,
      connections: 3,
      requestsInFlight: 2,
      tunnels: 1,
    },
    {
      slot: 1,
      pid: null,
      state: 'restarting',
      uptimeMs: 0,
      crashes: 12,
      connections: 0,
      requestsInFlight: 0,
      tunnels: 0,
    },
  ],
  sites: [
    {
      host: 'a.example',
      routes: [
        {
          path: '/*',
          requests: 7,
          origins: [origin('1', true, 0), origin('2', false, 0), origin('3', true, 61_000)],
        },
        { path: '/old', requests: 4, origins: [] },
      ],
    },
  ],
};

function origin(id: string, healthy: boolean, ejectedForMs: number) {
  return {
    id,
    url: `http://10.0.1.${id}:80`,
    healthy,
    ejectedForMs,
    inFlight: 1,
    consecutiveFailures: 0,
    requests: 1_000,
    failures: 2,
    ejections: 0,
  };
}

test('the status reads as tables', () => {
  assert.equal(
    statusText(status),
    `node       fra1-a (PoP fra1)
state      running, up 1 d 1 h
version    1.2.3, pid 100
config     /etc/h.yaml, loaded 2026-01-01T00:00:00.000Z
refused    line 1
           line 2
listening  https://192.0.2.10:443
now        3 connections, 2 requests, 1 WebSockets
degraded: origin http://10.0.1.6:80 of a.example/* is unhealthy

WORKER  PID  STATE       UP    CRASHES  CONNECTIONS  REQUESTS  WEBSOCKETS
0       101  up          5 s         0            3         2           1
1         -  restarting  0 ms       12            0         0           0

SITE       PATH  ORIGIN              STATE                  NOW  REQUESTS  FAILURES
a.example  /*    http://10.0.1.1:80  healthy                  1      1000         2
a.example  /*    http://10.0.1.2:80  unhealthy                1      1000         2
a.example  /*    http://10.0.1.3:80  ejected for 1 min 1 s    1      1000         2
a.example  /old  (redirect)                                             4
`,
  );
});
