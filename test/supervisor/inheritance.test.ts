import assert from 'node:assert/strict';
import { test } from 'node:test';
import { legacyOf, takeInheritance } from '../../src/supervisor/inheritance.ts';

test('what a service manager passes on is taken, and workers do not see it', () => {
  const environment = {
    PATH: '/bin',
    LISTEN_FDS: '2',
    LISTEN_PID: '42',
    LISTEN_FDNAMES: 'http:https',
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_USEC: '30000000',
    WATCHDOG_PID: '42',
  };
  const inheritance = takeInheritance(environment, 42);
  assert.deepEqual(inheritance, {
    sockets: [
      { fd: 3, name: undefined },
      { fd: 4, name: undefined },
    ],
    isSuccessor: false,
    notifySocket: '/run/systemd/notify',
    watchdogMs: 30_000,
  });
  assert.deepEqual(environment, { PATH: '/bin' });
});

test('what is meant for another process is left alone', () => {
  const { sockets, watchdogMs } = takeInheritance(
    { LISTEN_FDS: '2', LISTEN_PID: '41', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '41' },
    42,
  );
  assert.deepEqual([sockets, watchdogMs], [[], undefined]);
});

test('nonsense passes nothing on', () => {
  for (const LISTEN_FDS of ['', 'many', '-3', 'NaN']) {
    assert.deepEqual(takeInheritance({ LISTEN_FDS, LISTEN_PID: '42' }, 42).sockets, []);
  }
  const most = takeInheritance({ LISTEN_FDS: '99999999', LISTEN_PID: '42' }, 42);
  assert.equal(most.sockets.length, 1_024);
});

test('a release passes on to the next what it has got, sockets by their names', () => {
  const first = takeInheritance(
    { NOTIFY_SOCKET: '@notify', WATCHDOG_USEC: '2000000', WATCHDOG_PID: '42' },
    42,
  );
  const names = ['127.0.0.1:80', 'https://[2001:db8::10]:0', 'admin 127.0.0.1:2019'];
  const sockets = names.map((name, i) => ({ fd: 20 + i, name }));
  const environment = legacyOf(first, sockets);
  assert.deepEqual(takeInheritance(environment, 43), {
    sockets: names.map((name, i) => ({ fd: 3 + i, name })),
    isSuccessor: true,
    notifySocket: '@notify',
    watchdogMs: 2_000,
  });
  assert.deepEqual(environment, {});
});
