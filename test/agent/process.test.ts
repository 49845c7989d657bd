/** Agents as processes in a namespace of the test: started, killed, replaced, removed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AgentStatus, FlowReport } from '../../src/agent/agent-status.ts';
import { Stage, skipReason as skip } from './stage.ts';

interface Status {
  readonly state?: string;
  readonly agent?: AgentStatus | null;
}

const isRunning = ({ agent }: Status) => agent?.state === 'running';

describe('an agent process', { skip, timeout: 180_000 }, () => {
  let stage: Stage;

  before(() => {
    stage = new Stage();
    stage.configure({});
  });
  after(() => stage?.close());

  test('doctor says what is there and what can come later', () => {
    const { status, stdout } = stage.command('doctor', '--json');
    const { checks } = JSON.parse(stdout) as { checks: { name: string; ok: boolean }[] };
    assert.deepEqual(
      checks.filter(({ ok }) => !ok).map(({ name }) => name),
      ['listener 192.0.2.10 port 8080'],
    );
    assert.equal(status, 5);
  });

  test('what cannot work is refused at the start, with the mend', () => {
    stage.configure({
      vips: ['http://192.0.2.77:8080'],
    });
    const { status, stderr } = stage.command('agent');
    stage.configure({});
    assert.equal(status, 1);
    assert.match(stderr, /address 192\.0\.2\.77: ip address add 192\.0\.2\.77\/32 dev lo/);
    assert.match(stderr, /this machine cannot heal sessions yet/);
    assert.doesNotMatch(stage.output('ip', 'link'), /holdfast0/);
  });

  test('it can be killed, stopped and started again: boot and flows stay, until they are removed', async () => {
    const links = stage.output('ip', '-br', 'link');
    const addresses = stage.output('ip', '-br', 'address');
    const first = stage.start('agent');
    const born = await stage.until<Status>('/status', isRunning);
    assert.equal(born.agent?.inherited, false);
    assert.match(stage.output('ip', 'link'), /holdfast0/);

    const refused = stage.command('agent', '--remove');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /an agent runs \(process \d+\): stop it first/);

    const metrics = stage.output('curl', '-s', 'http://127.0.0.1:2019/metrics');
    assert.match(metrics, /^holdfast_datapath_packets_total\{verdict="relay_ticket"\} 0$/m);
    assert.match(metrics, /^holdfast_mesh_members\{status="alive"\} 1$/m);

    await stage.end(first, 'SIGKILL');
    const second = stage.start('agent');
    const again = await stage.until<Status>('/status', isRunning);
    assert.equal(again.agent?.inherited, true);
    assert.equal(again.agent?.boot, born.agent?.boot);

    assert.equal(await stage.end(second, 'SIGTERM'), 0);
    assert.match(stage.output('ip', 'link'), /holdfast0/, 'the kernel goes on healing');
    assert.equal(stage.command('agent', '--remove').status, 0);
    assert.equal(stage.output('ip', '-br', 'link'), links);
    assert.equal(stage.output('ip', '-br', 'address'), addresses);
  });

  test('beside an edge it is started, replaced when it crashes, and answers by the edge’s admin address', async () => {
    stage.configure({
      workers: 1,
      sites: { '*': { routes: { '/*': { redirect: { to: 'https://example.com/' } } } } },
    });
    const node = stage.start('run');
    const { agent } = await stage.until<Status>(
      '/status',
      (status) => isRunning(status) && status.state === 'running',
    );
    const nodes = await stage.ask<{ nodes: { id: string; self: boolean }[] }>('/mesh/nodes');
    assert.deepEqual(
      nodes?.nodes.map(({ id, self }) => [id, self]),
      [['node-1', true]],
    );
    assert.match(
      stage.output('curl', '-s', 'http://127.0.0.1:2019/metrics'),
      /^holdfast_workers_up 1$[\s\S]*^holdfast_agent_info/m,
    );
    const traced = await stage.ask<{ flows: FlowReport[] }>('/trace?client=203.0.113.7:51000');
    assert.equal(traced?.flows[0]?.owner, null);
    assert.equal(traced?.flows[0]?.nodes[0]?.node, 'node-1');

    process.kill(agent!.pid, 'SIGKILL');
    const replaced = await stage.until<Status>(
      '/status',
      (status) => isRunning(status) && status.agent?.pid !== agent?.pid,
    );
    assert.equal(replaced.state, 'running');
    assert.equal(replaced.agent?.boot, agent?.boot);

    assert.equal(await stage.end(node, 'SIGTERM'), 0);
    assert.equal(stage.command('agent', '--remove').status, 0);
  });
});
