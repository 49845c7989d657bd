/** A real ExaBGP and the program that it runs: what a BGP neighbour sees. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Verification } from '../../src/announce/driver.ts';
import { BgpStage, type DriverProcess, skipWithout, until } from './bgp-stage.ts';

const skip = skipWithout('exabgp', 'bird', 'birdc', 'ip', 'nsenter');
const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
const DEAD_MAN_MS = 5_000;

describe('announcing through ExaBGP', { skip, timeout: 180_000 }, () => {
  let stage: BgpStage;
  let driver: DriverProcess;
  let exabgp: ChildProcess;
  let socket: string;
  const options = () => ({
    socket,
    prefixes: ['192.0.2.0/24', '2001:db8::/48'],
    nextHop: { ipv4: 'self', ipv6: 'self' },
    attributes: { up: 'med 100', degraded: 'med 200', draining: 'med 300 community [65535:0]' },
    deadManMs: DEAD_MAN_MS,
  });

  before(async () => {
    stage = new BgpStage();
    socket = join(stage.directory, 'agent', 'exabgp.sock');
    // ExaBGP gives its rights away: its program must reach the socket.
    chmodSync(stage.directory, 0o755);
    const run = `${process.execPath} ${PROGRAM} announce exabgp --socket ${socket} --patience 5`;
    const session = (neighbour: string, local: string, family: string) => `neighbor ${neighbour} {
  router-id 203.0.113.130;
  local-address ${local};
  local-as 64501;
  peer-as 64500;
  family { ${family} unicast; }
  api { processes [ holdfast ]; }
}`;
    const conf = join(stage.directory, 'exabgp.conf');
    writeFileSync(
      conf,
      `process holdfast { run ${run}; encoder text; }
${session('203.0.113.129', '203.0.113.130', 'ipv4')}
${session('2001:db8:a1::1', '2001:db8:a1::2', 'ipv6')}
`,
    );
    const env = [
      'exabgp.api.cli=false',
      'exabgp.daemon.user=root',
      'exabgp.log.destination=/dev/null',
      'exabgp.tcp.bind=',
    ];
    await stage.startRouter();
    driver = stage.driver('exabgp', options());
    exabgp = stage.start('env', ...env, 'exabgp', conf);
  });
  after(() => stage?.close());

  const announced = (med: number) => stage.seen(4)?.med === med && stage.seen(6)?.med === med;
  const withdrawn = () => stage.seen(4) === undefined && stage.seen(6) === undefined;
  const verify = (state: string) => driver.call<Verification>('verify', state);
  /** Orders again and again, as an agent does, until it is seen. */
  const order = async (state: string, seen: () => boolean) => {
    await until(state, async () => {
      await driver.call('apply', state, '');
      return seen();
    });
  };
  /** Processes of the program in the namespace. */
  const programs = () =>
    execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes('announce exabgp') && line.includes(socket))
      .map((line) => Number.parseInt(line, 10));

  test('says what to configure while ExaBGP has not started its program', async () => {
    const lonely = stage.driver('exabgp', { ...options(), socket: `${socket}.lonely` });
    assert.equal(await lonely.call('found'), 'down');
    const { problem } = await lonely.call<Verification>('verify', 'up');
    assert.match(problem, /ExaBGP has not started its program: add[\s\S]*run .*announce exabgp/);
    await lonely.kill();
  });

  test('each state arrives with its attributes, in both families, without a withdrawal between', async () => {
    await driver.call('found');
    await order('up', () => announced(100));
    const withdrawals = stage.withdrawals();
    for (const [state, med, communities] of [
      ['degraded', 200, ''],
      ['draining', 300, '(65535,0)'],
      ['up', 100, ''],
    ] as const) {
      await order(state, () => announced(med));
      assert.deepEqual(stage.seen(4), { med, path: '64501', communities });
      await until(`${state} is acknowledged`, async () => {
        const { ok, found } = await verify(state);
        return ok && found.join() === `ExaBGP was asked for ${state}: done`;
      });
    }
    assert.equal(stage.withdrawals(), withdrawals);
    await order('down', withdrawn);
    await until('down is acknowledged', async () => (await verify('down')).ok);
  });

  test('a killed agent’s route is withdrawn within the dead-man time; a successor finds it before', async () => {
    await order('up', () => announced(100));
    await driver.kill();
    driver = stage.driver('exabgp', options());
    assert.equal(await driver.call('found'), 'up');
    await driver.call('apply', 'up', '');
    await driver.kill();
    const killedMs = performance.now();
    await until('withdrawn', withdrawn);
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs > 2_000 && tookMs < DEAD_MAN_MS + 2_000, `it took ${tookMs} ms`);
    driver = stage.driver('exabgp', options());
    await driver.call('found');
    await order('up', () => announced(100));
  });

  test('when agent and program are killed, the program that ExaBGP starts next withdraws for them', async () => {
    await order('up', () => announced(100));
    const [program] = programs();
    assert.ok(program !== undefined);
    await driver.kill();
    process.kill(program, 'SIGKILL');
    await until('withdrawn', withdrawn);
  });

  test('an ExaBGP that is gone is told as missing', async () => {
    driver = stage.driver('exabgp', options());
    await driver.call('found');
    await order('up', () => announced(100));
    exabgp.kill('SIGKILL');
    for (const pid of programs()) process.kill(pid, 'SIGTERM');
    await until('it is missed', async () => {
      return (await verify('up')).problem.startsWith('ExaBGP has not started its program');
    });
  });
});
