/** The marker and a real BIRD: what a BGP neighbour sees of each state. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { birdSnippet } from '../../src/announce/bird-snippet.ts';
import type { Verification } from '../../src/announce/driver.ts';
import { BgpStage, type DriverProcess, skipWithout, until, VIPS } from './bgp-stage.ts';

const skip = skipWithout('bird', 'birdc', 'ip', 'nsenter');
const DEAD_MAN_MS = 5_000;
const bothUp = /router4.*Established[\s\S]*router6.*Established/;

describe('announcing through BIRD', { skip, timeout: 120_000 }, () => {
  let stage: BgpStage;
  let driver: DriverProcess;
  const fresh = () => stage.driver('bird', stage.birdSocket, VIPS, DEAD_MAN_MS);

  before(async () => {
    stage = new BgpStage();
    await stage.startRouter();
    await stage.startBird();
    driver = fresh();
    await until('the sessions are up', () => bothUp.test(stage.birdc('show protocols')));
  });
  after(() => stage?.close());

  const verified = async (state: string): Promise<Verification> => {
    let last: Verification | undefined;
    await until(
      () => `BIRD verifies ${state}: ${JSON.stringify(last)}`,
      async () => {
        last = await driver.call<Verification>('verify', state);
        return last.ok;
      },
    );
    return last!;
  };

  test('nothing is announced before the first order', async () => {
    assert.equal(await driver.call('found'), 'down');
    assert.equal(stage.seen(4), undefined);
    await driver.call('apply', 'down', '');
    await verified('down');
  });

  test('each state arrives with its attributes, in both families, without a withdrawal between', async () => {
    const table = [
      ['up', 100, ''],
      ['degraded', 200, ''],
      ['draining', 300, '(65535,0)'],
      ['up', 100, ''],
      ['draining', 300, '(65535,0)'],
      ['degraded', 200, ''],
    ] as const;
    for (const [state, med, communities] of table) {
      await driver.call('apply', state, 'for the test');
      for (const family of [4, 6] as const) {
        await until(`${state} by IPv${family}`, () => stage.seen(family)?.med === med);
        assert.deepEqual(stage.seen(family), { med, path: '64501', communities });
      }
      const { found } = await verified(state);
      assert.match(found.join('\n'), /session router4: Established, 192\.0\.2\.0\/24/);
    }
    assert.equal(stage.withdrawals(), 0);
    await driver.call('apply', 'down', '');
    await until('withdrawn', () => stage.seen(4) === undefined && stage.seen(6) === undefined);
    assert.equal(stage.withdrawals(), 1);
    await verified('down');
  });

  test('an operator who reloads bird.conf moves nothing', async () => {
    await driver.call('apply', 'draining', '');
    await until('draining', () => stage.seen(4)?.med === 300);
    const withdrawals = stage.withdrawals();
    assert.match(stage.birdc('configure'), /Reconfigured/);
    await verified('draining');
    assert.equal(stage.seen(4)?.med, 300);
    assert.equal(stage.withdrawals(), withdrawals);
  });

  test('a BIRD that starts again announces what the marker says, without a word from the agent', async () => {
    await driver.call('apply', 'degraded', '');
    await until('degraded', () => stage.seen(4)?.med === 200);
    stage.birdc('down');
    await until('BIRD is gone', async () => !(await driver.call<Verification>('verify', 'up')).ok);
    await until('withdrawn', () => stage.seen(4) === undefined);
    const { problem } = await driver.call<Verification>('verify', 'degraded');
    assert.match(problem, /BIRD at .*pop\.ctl: (no such socket|nobody listens there)/);
    await stage.startBird();
    await driver.call('apply', 'degraded', '');
    await until('announced again', () => stage.seen(4)?.med === 200);
    await verified('degraded');
  });

  test('a killed agent’s route is withdrawn within the dead-man time, in both families', async () => {
    await driver.call('apply', 'up', '');
    await until('up', () => stage.seen(4)?.med === 100 && stage.seen(6)?.med === 100);
    await driver.kill();
    const killedMs = performance.now();
    await until('withdrawn', () => stage.seen(4) === undefined && stage.seen(6) === undefined);
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs > 1_000 && tookMs < DEAD_MAN_MS + 2_000, `it took ${tookMs} ms`);
    driver = fresh();
    assert.equal(await driver.call('found'), 'down');
  });

  test('a successor within that time finds the state and renews it', async () => {
    await driver.call('apply', 'degraded', '');
    await until('degraded', () => stage.seen(4)?.med === 200);
    const withdrawals = stage.withdrawals();
    await driver.kill();
    driver = fresh();
    assert.equal(await driver.call('found'), 'degraded');
    await driver.call('apply', 'degraded', '');
    await verified('degraded');
    assert.equal(stage.withdrawals(), withdrawals);
  });

  test('what is missing in bird.conf is told, with what to add', async () => {
    const restart = async (conf?: string, filter?: string) => {
      stage.birdc('down');
      await until('BIRD is gone', async () => {
        const { problem } = await driver.call<Verification>('verify', 'up');
        return problem.startsWith('BIRD at');
      });
      await stage.startBird(conf, filter);
      await until('both sessions are up', () => bothUp.test(stage.birdc('show protocols')));
    };
    await driver.call('apply', 'up', '');
    await restart('function holdfast() { return false; }');
    let told = await driver.call<Verification>('verify', 'up');
    assert.match(
      told.problem,
      /bird\.conf has no IPv4 route by way of the marker: add\n[\s\S]*via 169\.254\.104\.106/,
    );

    await driver.call('apply', 'up', '');
    await restart(birdSnippet(VIPS.slice(0, 1)));
    told = await driver.call<Verification>('verify', 'up');
    assert.match(told.problem, /no IPv6 route by way of the marker/);

    await driver.call('apply', 'up', '');
    await restart(birdSnippet(VIPS), 'none');
    told = await driver.call<Verification>('verify', 'up');
    assert.match(told.problem, /no BGP session announces the IPv4 route/);

    // The most dangerous mistake: a route that stands whatever the marker says.
    await restart('protocol static fixed { ipv4; route 192.0.2.0/24 blackhole; }', 'all');
    await driver.call('apply', 'down', '');
    told = await driver.call<Verification>('verify', 'down');
    assert.equal(told.ok, false);
    assert.match(told.problem, /BIRD announces 192\.0\.2\.0\/24 to router4 whatever holdfast says/);
  });

  test('nothing of it stays behind', async () => {
    await driver.call('removeMarker');
    assert.doesNotMatch(stage.run('ip', '-br', 'link'), /hf-/);
    const gone = once(driver.child, 'exit');
    driver.child.stdin!.end();
    await gone;
  });
});
