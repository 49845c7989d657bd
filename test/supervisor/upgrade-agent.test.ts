/** Upgrades of a node with an agent, in a namespace of the test: the kernel’s work passes over, too. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AgentStatus } from '../../src/agent/agent-status.ts';
import type { NodeStatus } from '../../src/node.ts';
import { Stage, skipReason as skip } from '../agent/stage.ts';

type Status = NodeStatus & { readonly agent?: AgentStatus | null };

const sites = { '*': { routes: { '/*': { redirect: { to: 'https://example.com/' } } } } };
const isRunning = ({ state, agent }: Status) => state === 'running' && agent?.state === 'running';

describe('an upgrade with an agent', { skip, timeout: 180_000 }, () => {
  let stage: Stage;
  let main: number | undefined;

  before(() => {
    stage = new Stage();
    stage.configure({ workers: 1, sites });
  });
  after(() => {
    if (main !== undefined) process.kill(main, 'SIGKILL');
    stage?.command('agent', '--remove');
    stage?.close();
  });

  test('the next agent takes the kernel’s work over, or the old one does again', async () => {
    stage.start('run');
    const old = await stage.until<Status>('/status', isRunning);
    main = old.pid;

    // The agent of the next release cannot start: this machine has no such uplink.
    stage.configure({
      workers: 1,
      sites,
      datapath: { uplink: 'nowhere', underlay: '198.51.100.1' },
    });
    const failed = stage.command('upgrade');
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /nothing was changed: the new release cannot start: .*nowhere/);
    const same = await stage.until<Status>('/status', isRunning);
    assert.equal(same.pid, old.pid);
    assert.equal(same.workers[0]?.pid, old.workers[0]?.pid);
    assert.equal(same.agent?.boot, old.agent?.boot);

    stage.configure({ workers: 1, sites });
    const upgraded = stage.command('upgrade');
    assert.deepEqual([upgraded.status, upgraded.stderr], [0, '']);
    const young = await stage.until<Status>('/status', isRunning);
    main = young.pid;
    assert.notEqual(young.pid, old.pid);
    assert.notEqual(young.agent?.pid, same.agent?.pid);
    assert.equal(young.agent?.inherited, true);
    assert.equal(young.agent?.boot, old.agent?.boot);
    assert.match(stage.output('ip', 'link'), /holdfast0/);
  });
});
