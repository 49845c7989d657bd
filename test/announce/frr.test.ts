/** The marker and a real FRR: what a BGP neighbour sees of each state. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { frrSnippet } from '../../src/announce/bird-snippet.ts';
import { BgpStage, type DriverProcess, skipWithout, until, VIPS } from './bgp-stage.ts';

const DAEMONS = '/usr/lib/frr';
const skip = existsSync(`${DAEMONS}/bgpd`)
  ? skipWithout('bird', 'birdc', 'ip', 'nsenter')
  : 'needs frr';
const DEAD_MAN_MS = 6_000;

describe('announcing through FRR', { skip, timeout: 120_000 }, () => {
  let stage: BgpStage;
  let driver: DriverProcess;

  before(async () => {
    stage = new BgpStage();
    await stage.startRouter();
    const files = join(stage.directory, 'frr');
    // FRR gives its rights away, and still wants to write.
    chmodSync(stage.directory, 0o755);
    for (const path of [files, join(files, 'vty')]) {
      mkdirSync(path);
      chmodSync(path, 0o777);
    }
    const conf = join(files, 'frr.conf');
    writeFileSync(
      conf,
      `${frrSnippet(VIPS)}router bgp 64501
 bgp router-id 203.0.113.130
 no bgp ebgp-requires-policy
 neighbor 203.0.113.129 remote-as 64500
 neighbor 203.0.113.129 timers connect 1
 neighbor 2001:db8:a1::1 remote-as 64500
 neighbor 2001:db8:a1::1 timers connect 1
 address-family ipv4 unicast
  redistribute static route-map HOLDFAST
  no neighbor 2001:db8:a1::1 activate
 exit-address-family
 address-family ipv6 unicast
  redistribute static route-map HOLDFAST
  neighbor 2001:db8:a1::1 activate
 exit-address-family
`,
    );
    const sockets = ['--vty_socket', join(files, 'vty'), '-z', join(files, 'vty', 'zserv.api')];
    for (const name of ['zebra', 'staticd', 'bgpd']) {
      const words = ['-f', conf, '-i', join(files, `${name}.pid`), ...sockets, '-A', '127.0.0.1'];
      stage.start(`${DAEMONS}/${name}`, ...words, '--log', `file:${join(files, `${name}.log`)}`);
      await until(`${name} runs`, () => existsSync(join(files, `${name}.pid`)));
    }
    driver = stage.driver('kernel', [4, 6], DEAD_MAN_MS);
  });
  after(() => stage?.close());

  const announced = (med: number) => stage.seen(4)?.med === med && stage.seen(6)?.med === med;
  const withdrawn = () => stage.seen(4) === undefined && stage.seen(6) === undefined;
  /** Orders again and again, as an agent does, until it is seen. */
  const order = async (state: string, seen: () => boolean) => {
    await until(state, async () => {
      await driver.call('apply', state, '');
      return seen();
    });
  };

  test('each state arrives with its attributes, in both families, without a withdrawal between', async () => {
    await order('up', () => announced(100));
    const withdrawals = stage.withdrawals();
    for (const [state, med, communities] of [
      ['degraded', 200, ''],
      ['draining', 300, '(65535,0)'],
      ['up', 100, ''],
    ] as const) {
      await order(state, () => announced(med));
      assert.deepEqual(stage.seen(4), { med, path: '64501', communities });
    }
    assert.equal(stage.withdrawals(), withdrawals);
    await order('down', withdrawn);
  });

  test('a killed agent’s route is withdrawn within the dead-man time', async () => {
    await order('draining', () => announced(300));
    await driver.kill();
    const killedMs = performance.now();
    await until('withdrawn', withdrawn);
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs < DEAD_MAN_MS + 2_000, `it took ${tookMs} ms`);
  });
});
