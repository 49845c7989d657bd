import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { parse } from 'yaml';
import { LabError } from '../../bench/lab/errors.ts';
import { healingNamed, sumCounters } from '../../bench/lab/healing/healing.ts';
import { requirePrograms, requireRoot } from '../../bench/lab/requirements.ts';
import { commandServer } from '../../bench/lab/servers/command.ts';
import { serverNamed, servers } from '../../bench/lab/servers/registry.ts';
import type { ServerSite } from '../../bench/lab/servers/server.ts';
import { configSchema } from '../../src/config/schema.ts';

const site = (directory: string): ServerSite => ({
  node: 'pop-a',
  directory,
  listen: [
    { host: '127.0.0.1', port: 18_080, family: 4 },
    { host: '::1', port: 18_080, family: 6 },
  ],
  files: ['198.51.100.101:8080'],
  app: ['[2001:db8:b::101]:8081'],
  workers: 1,
  sharedDirectory: join(directory, 'shared'),
});

function inDirectory(work: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-server-'));
  try {
    work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const installed = (program: string) => spawnSync(program, ['-v']).error === undefined;

test('HAProxy itself accepts its configuration', {
  skip: installed('haproxy') ? false : 'haproxy is not installed',
}, () => {
  inDirectory((directory) => {
    const { files } = serverNamed('haproxy').plan(site(directory));
    const file = join(directory, 'haproxy.cfg');
    writeFileSync(file, files['haproxy.cfg']!);
    const checked = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stderr);
  });
});

test('Caddy itself accepts its configuration', {
  skip: installed('caddy') ? false : 'caddy is not installed',
}, () => {
  inDirectory((directory) => {
    const { files } = serverNamed('caddy').plan(site(directory));
    const file = join(directory, 'Caddyfile');
    writeFileSync(file, files.Caddyfile!);
    const argv = ['validate', '--config', file, '--adapter', 'caddyfile'];
    const env = { ...process.env, HOME: directory };
    const checked = spawnSync('caddy', argv, { encoding: 'utf8', env });
    assert.equal(checked.status, 0, checked.stderr);
  });
});

test('a command of the user is told where to listen and where the origin is', () => {
  const { argv } = commandServer('serve {listen} --to {app}', 6).plan(site('/lab/pop-a/server'));
  assert.deepEqual(argv, ['sh', '-c', 'exec serve [::1]:18080 --to [2001:db8:b::101]:8081']);
  assert.throws(() => commandServer('serve {lisen}', 4), /\{lisen\} stands for nothing/);
});

test('holdfast is given a configuration that its own schema accepts', () => {
  const { files, argv } = serverNamed('holdfast').plan(site('/lab/pop-a/server'));
  const config = configSchema.parse(parse(files['holdfast.yaml']!));
  assert.deepEqual(
    config.vips.map((vip) => vip.host),
    ['127.0.0.1', '::1'],
  );
  assert.deepEqual(Object.keys(config.sites['*']!.routes), ['/files/*', '/*']);
  assert.equal(config.workers, 1);
  assert.deepEqual(argv.slice(-3), ['run', '--config', '/lab/pop-a/server/holdfast.yaml']);
});

test('nginx streams both ways and switches protocols', () => {
  const text = serverNamed('nginx').plan(site('/d')).files['nginx.conf']!;
  for (const part of [
    'proxy_request_buffering off',
    'proxy_buffering off',
    'Upgrade $http_upgrade',
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.ok(text.includes('listen [::1]:18080'));
});

test('holdfast is the server that is tested unless another is named', () => {
  assert.equal(servers[0]?.name, 'holdfast');
  assert.throws(
    () => serverNamed('apache'),
    (error) => error instanceof LabError && /holdfast, nginx, haproxy/.test(error.message),
  );
});

test('counters of all PoPs are added up by verdict', () => {
  const sum = sumCounters([
    { relayedPackets: 1, verdicts: { local: 1, deliver: 2 } },
    { relayedPackets: 2, verdicts: { local: 5 } },
  ]);
  assert.deepEqual(sum, { relayedPackets: 3, verdicts: { local: 6, deliver: 2 } });
});

test('without healing nothing is counted, and nothing but the server is started', async () => {
  const off = healingNamed('off');
  const started: unknown[] = [];
  const touched = { startServer: async (pop: unknown) => started.push(pop) } as never;
  const untouched = new Proxy({}, { get: () => assert.fail('the lab was touched') }) as never;
  const pop = {} as never;
  await off.start(touched, pop);
  assert.deepEqual(started, [pop]);
  assert.deepEqual(await off.counters(untouched, pop), { relayedPackets: 0, verdicts: {} });
  await off.stop(untouched, pop);
});

test('without root the user is given the command to type', () => {
  const getuid = mock.method(process as { getuid: () => number }, 'getuid', () => 1_000);
  try {
    assert.throws(
      () => requireRoot(),
      (error) => error instanceof LabError && /needs root: sudo \S+/.test(error.message),
    );
  } finally {
    getuid.mock.restore();
  }
});

test('a missing program is named with its Debian package and the way to install it', async () => {
  await assert.rejects(requirePrograms(['sh', 'no-such-program']), (error) => {
    assert.ok(error instanceof LabError);
    assert.equal(error.code, 'ERR_LAB_PROGRAM_MISSING');
    assert.match(error.message, /no-such-program/);
    assert.doesNotMatch(error.message, /missing: sh/);
    assert.match(error.message, /setup\.sh --lab/);
    return true;
  });
});
