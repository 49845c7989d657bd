/** A node with sessions that is drained, stopped in mid-drain and upgraded, before a real BIRD. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentAnnounceStatus } from '../../src/agent/agent-announce.ts';
import type { AgentStatus } from '../../src/agent/agent-status.ts';
import type { NodeStatus } from '../../src/node.ts';
import { BgpStage, skipWithout, until } from './bgp-stage.ts';

type Status = NodeStatus & { readonly agent?: AgentStatus | null };

const skip = skipWithout('bird', 'birdc', 'ip', 'nsenter', 'curl', 'unshare');
const DEAD_MAN_MS = 12_000;
/** Answers each message of a WebSocket with the same. */
const ORIGIN = `const { WebSocketServer } = require('ws');
new WebSocketServer({ port: 9000, host: '127.0.0.1' })
  .on('connection', (socket) => socket.on('message', (data) => socket.send(data)));`;
/** Says "open", then an echo a second, then with what code it was closed. */
const CLIENT = `const socket = new (require('ws'))('ws://192.0.2.10:8081/');
socket.on('open', () => { console.log('open'); setInterval(() => socket.send('alive'), 200); });
socket.on('message', () => console.log('echo'));
socket.on('error', () => {});
socket.on('close', (code) => { console.log('closed ' + code); process.exit(); });`;

/** A WebSocket of a client at the router. */
class Client {
  readonly #child: ChildProcess;
  echoes = 0;
  /** What it was closed with; 1006 when it was cut. */
  closed: number | undefined;
  #isOpen = false;

  constructor(stage: BgpStage) {
    this.#child = stage.startClient(process.execPath, '-e', CLIENT);
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      if (line === 'open') this.#isOpen = true;
      else if (line === 'echo') this.echoes += 1;
      else this.closed = Number(line.split(' ')[1]);
    });
  }

  async opened(): Promise<void> {
    await until('the WebSocket opens', () => this.#isOpen && this.echoes > 0);
  }

  async echoesOn(): Promise<void> {
    const { echoes } = this;
    await until('another echo', () => this.echoes > echoes + 1);
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

describe('a node with sessions that announces', { skip, timeout: 240_000 }, () => {
  let stage: BgpStage;
  let node: ChildProcess;
  const status = () => stage.ask<AgentAnnounceStatus>('/announce');
  const why = () => JSON.stringify(status() ?? 'nobody answers');
  const announced = (med: number) => stage.seen(4)?.med === med && stage.seen(6)?.med === med;
  const withdrawn = () => stage.seen(4) === undefined && stage.seen(6) === undefined;
  /** Of the node that runs now, whichever process that is. */
  const nodeStatus = () => stage.ask<Status>('/status');

  before(async () => {
    stage = new BgpStage();
    stage.addVips();
    stage.configure({
      workers: 1,
      vips: ['http://192.0.2.10:8081', 'http://[2001:db8::10]:8081'],
      sites: { '*': { routes: { '/*': '127.0.0.1:9000' } } },
      drain: { deadlineMs: 30_000, tunnelSpreadMs: 500 },
      announce: {
        driver: 'bird',
        socket: stage.birdSocket,
        stateDirectory: stage.directory,
        deadManMs: DEAD_MAN_MS,
        improveAfterMs: 1_000,
        drain: { convergeMs: 2_000, deadlineMs: 60_000 },
      },
    });
    await stage.startRouter();
    await stage.startBird();
    stage.start(process.execPath, '-e', ORIGIN);
    node = stage.holdfast('run');
    await until(why, () => announced(100) && status()?.routing.ok === true);
  });
  after(() => {
    const pid = stage?.ask<Status>('/status')?.pid;
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    stage?.command('agent', '--remove');
    stage?.close();
  });

  test('a drain whose time is over closes WebSockets with 1012, and serves again after a resume', async () => {
    const client = new Client(stage);
    await client.opened();
    assert.equal(stage.command('drain', '--for', '5s').status, 0);
    // Withdrawn, and still served.
    await until(why, () => status()?.drain?.phase === 'waiting');
    await client.echoesOn();
    await until(why, () => client.closed !== undefined);
    assert.equal(client.closed, 1012);
    await until(why, () => status()?.drain?.phase === 'drained');
    assert.equal(stage.command('resume').status, 0);
    await until(why, () => announced(100));
    const next = new Client(stage);
    await next.opened();
    next.end();
  });

  test('an upgrade leaves the announcement up, longer than the dead-man time', async () => {
    const client = new Client(stage);
    await client.opened();
    const withdrawals = stage.withdrawals();
    const old = nodeStatus()!;
    const upgraded = stage.command('upgrade');
    const tookOverMs = performance.now();
    assert.deepEqual([upgraded.status, upgraded.stderr], [0, '']);
    while (performance.now() - tookOverMs < DEAD_MAN_MS + 2_000) {
      assert.equal(announced(100), true, why());
      await sleep(250);
    }
    assert.equal(stage.withdrawals(), withdrawals);
    const young = nodeStatus()!;
    assert.notEqual(young.pid, old.pid);
    assert.notEqual(young.agent?.pid, old.agent?.pid);
    assert.deepEqual([status()?.state, status()?.routing.ok], ['up', true]);
    // The session is where it was.
    assert.deepEqual(
      young.older.map(({ pid, tunnels }) => [pid, tunnels]),
      [[old.pid, 1]],
    );
    await client.echoesOn();
    client.end();
    await once(node, 'exit');
    process.kill(young.pid, 'SIGTERM');
    await until('the node is gone', () => nodeStatus() === undefined && withdrawn());
  });

  test('a second TERM in mid-drain cuts what is left, withdraws and ends with code 1', async () => {
    node = stage.holdfast('run');
    await until(why, () => announced(100));
    const client = new Client(stage);
    await client.opened();
    const gone = once(node, 'exit') as Promise<[number | null]>;
    node.kill('SIGTERM');
    await until(why, () => announced(300));
    await client.echoesOn();
    const secondMs = performance.now();
    node.kill('SIGTERM');
    const [code] = await gone;
    assert.equal(code, 1);
    await until('the session is cut', () => client.closed === 1006);
    await until('withdrawn', withdrawn);
    const tookMs = performance.now() - secondMs;
    assert.ok(tookMs < DEAD_MAN_MS / 2, `not by the dead-man time: it took ${tookMs} ms`);
    assert.equal(stage.run('ip', '-br', 'address').includes('169.254.104.105'), false);
  });
});
