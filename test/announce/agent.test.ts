/** Agents that announce through a real BIRD: health, holds, drains, deaths. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type { AgentAnnounceStatus } from '../../src/agent/agent-announce.ts';
import { BgpStage, skipWithout, until } from './bgp-stage.ts';

const skip = skipWithout('bird', 'birdc', 'ip', 'nsenter', 'curl', 'unshare');
/** A server on both VIPs, written in one line. */
const SERVER =
  "for (const h of ['192.0.2.10', '2001:db8::10']) require('http').createServer((q, s) => s.end('ok')).listen(8080, h)";

/** A client that keeps its connection until the server closes it. */
const KEEP_ALIVE =
  "const s = require('net').connect(8081, '192.0.2.10', () => s.write('GET / HTTP/1.1\\r\\nhost: app.example\\r\\n\\r\\n')); s.on('data', () => console.log('answered'));";

describe('an agent that announces', { skip, timeout: 240_000 }, () => {
  let stage: BgpStage;
  const announce = {
    driver: 'bird',
    // A busy machine starts an agent in seconds.
    deadManMs: 12_000,
    improveAfterMs: 2_000,
    drain: { convergeMs: 3_000, deadlineMs: 8_000 },
  } as const;

  const status = () => stage.ask<AgentAnnounceStatus>('/announce');
  const announced = (med: number) => stage.seen(4)?.med === med && stage.seen(6)?.med === med;
  const withdrawn = () => stage.seen(4) === undefined && stage.seen(6) === undefined;
  const why = () => JSON.stringify(status());

  before(async () => {
    stage = new BgpStage();
    stage.addVips();
    stage.configure({
      announce: { ...announce, socket: stage.birdSocket, stateDirectory: stage.directory },
    });
    await stage.startRouter();
    await stage.startBird();
  });
  after(() => {
    stage?.command('agent', '--remove');
    stage?.close();
  });

  test('doctor looks at BIRD, too', () => {
    const { stdout } = stage.command('doctor', '--json');
    const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean }[] };
    const ok = (name: string) => checks.find((check) => check.name === name)?.ok;
    assert.deepEqual([ok('BIRD'), ok('BIRD routes')], [true, true]);
  });

  test('announces when a server listens, and tells why not before', async () => {
    stage.holdfast('agent');
    await until(why, () => (status()?.reasons.join() ?? '').includes('nobody listens on'));
    assert.equal(status()?.state, 'down');
    const server = stage.start(process.execPath, '-e', SERVER);
    await until(why, () => announced(100));
    await until(why, () => status()?.routing.ok === true);
    const shown = stage.command('announce');
    assert.equal(shown.status, 0, shown.stdout);
    assert.match(
      shown.stdout,
      /announced\s+up, for[\s\S]*routing\s+bird, follows[\s\S]*node-1\s+up/,
    );

    server.kill('SIGKILL');
    await until(why, withdrawn);
    assert.equal(stage.command('announce').status, 5);
    stage.start(process.execPath, '-e', SERVER);
    await until(why, () => announced(100));
  });

  test('obeys a hold, over a restart too, and a drain until it is resumed', async () => {
    const off = stage.command('announce', 'off');
    assert.equal(off.status, 0, off.stderr);
    // The answer is about what was wanted, not about what was found before.
    assert.match(off.stdout, /announced\s+down[\s\S]*bird, follows\n\s+marker on no device/);
    await until(why, withdrawn);
    process.kill(stage.ask<{ agent: { pid: number } }>('/status')!.agent.pid, 'SIGKILL');
    stage.holdfast('agent');
    await until(why, () => /^held off by hand since/.test(status()?.reasons[0] ?? ''));
    assert.equal(withdrawn(), true);
    stage.command('announce', 'auto');
    await until(why, () => announced(100));

    const drained = stage.command('drain', '--wait');
    assert.equal(drained.status, 0, drained.stderr);
    assert.match(drained.stderr, /no other node is well/);
    assert.match(drained.stderr, /^converging for [\s\S]*^drained for /m);
    assert.equal(withdrawn(), true);
    const { nodes } = stage.ask<{ nodes: { draining: boolean }[] }>('/mesh/nodes')!;
    assert.equal(nodes[0]?.draining, true);

    assert.match(stage.command('drain', '--wait').stderr, /a drain was begun .* ago/);
    assert.equal(stage.command('resume').stderr, '');
    await until(why, () => announced(100));
    assert.equal(stage.command('resume').stderr, 'no drain was under way: nothing to undo\n');
    stage.command('drain', '--for', '1h');
    await until(why, () => announced(300));
    assert.equal(stage.seen(4)?.communities, '(65535,0)');
    stage.command('resume');
    await until(why, () => announced(100));
  });

  test('killed, it leaves a route that its successor keeps without a flap', async () => {
    const withdrawals = stage.withdrawals();
    process.kill(stage.ask<{ agent: { pid: number } }>('/status')!.agent.pid, 'SIGKILL');
    stage.holdfast('agent');
    await until(why, () => status()?.state === 'up' && status()?.routing.ok === true);
    assert.equal(stage.withdrawals(), withdrawals);
    assert.equal(announced(100), true);
  });

  test('killed for good, it is withdrawn within the dead-man time', async () => {
    process.kill(stage.ask<{ agent: { pid: number } }>('/status')!.agent.pid, 'SIGKILL');
    const killedMs = performance.now();
    await until('withdrawn', withdrawn);
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs < announce.deadManMs + 2_000, `it took ${tookMs} ms`);
  });

  test('beside an edge, the health of origins decides', async () => {
    const origin = stage.start(
      process.execPath,
      '-e',
      "require('http').createServer((q, s) => s.end('ok')).listen(9000, '127.0.0.1')",
    );
    stage.configure({
      workers: 1,
      vips: ['http://192.0.2.10:8081', 'http://[2001:db8::10]:8081'],
      sites: {
        'app.example': {
          routes: {
            '/*': {
              to: '127.0.0.1:9000',
              health: { path: '/', intervalMs: 200, fall: 2, rise: 2 },
            },
          },
        },
      },
      drain: { deadlineMs: 5_000, tunnelSpreadMs: 1_000 },
      announce: { ...announce, socket: stage.birdSocket, stateDirectory: stage.directory },
    });
    const node = stage.holdfast('run');
    await until(why, () => announced(100));
    origin.kill('SIGKILL');
    await until(why, () => announced(200));
    assert.match(status()?.reasons.join() ?? '', /no origin of app\.example is healthy/);
    const degraded = stage.command('status');
    assert.equal(degraded.status, 5);
    assert.match(degraded.stdout, /announces +degraded \(bird follows\)/);
    assert.match(degraded.stdout, /announces degraded: no origin of app\.example is healthy/);

    // A drain by command asks the session that is left to end, and can be undone.
    const client = stage.startClient(process.execPath, '-e', KEEP_ALIVE);
    await once(client.stdout!, 'data');
    const ended = once(client, 'exit');
    stage.command('drain', '--for', '4s');
    await until(why, () => (status()?.drain?.sessions ?? 0) > 0);
    await until(why, () => status()?.drain?.phase === 'drained');
    await ended;
    stage.command('resume');
    await until(why, () => announced(200));

    // TERM leaves service in order: worse, withdrawn, ended.
    const gone = once(node, 'exit') as Promise<[number | null]>;
    node.kill('SIGTERM');
    await until('draining', () => announced(300));
    await until('withdrawn', withdrawn);
    const [code] = await gone;
    assert.equal(code, 0);
    assert.equal(stage.run('ip', '-br', 'address').includes('169.254.104.105'), false);
  });
});
