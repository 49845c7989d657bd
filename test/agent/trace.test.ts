/** A flow in the lab, as `holdfast trace` and the status of its entry tell it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runCommand, tryCommand } from '../../bench/lab/command.ts';
import { insideNamespace, waitUntil } from '../../bench/lab/daemons.ts';
import { AGENT_ADMIN } from '../../bench/lab/healing/agent-config.ts';
import { healingNamed } from '../../bench/lab/healing/healing.ts';
import type { Lab } from '../../bench/lab/lab.ts';
import { silent } from '../../bench/lab/progress.ts';
import { serverNamed } from '../../bench/lab/servers/registry.ts';
import { withLab } from '../../bench/lab/with-lab.ts';
import type { AgentStatus, FlowReport } from '../../src/agent/agent-status.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';
const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
const PORT = 51_000;

function holdfast(lab: Lab, pop: string, ...words: string[]) {
  const argv = [process.execPath, PROGRAM, ...words, '--admin', AGENT_ADMIN];
  return tryCommand(insideNamespace(lab.namespace(pop), argv));
}

async function trace(lab: Lab, client: string): Promise<FlowReport> {
  const { code, stdout, stderr } = await holdfast(lab, 'pop-c', 'trace', client, '--json');
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { flows: FlowReport[] }).flows[0]!;
}

test('trace names owner and homes of a flow, and status the flow that was switched', {
  skip,
  timeout: 120_000,
}, async () => {
  const server = serverNamed('nginx');
  await withLab({ server, family: 4, pops: 3, progress: silent }, async (lab) => {
    const { pops, clients } = lab.topology;
    const [client] = clients;
    const healing = healingNamed('on');
    await Promise.all(pops.map((pop) => healing.start(lab, pop)));
    const mover = lab.routeControl('route');
    const url = `${lab.baseUrl}/events?count=2000&everyMs=20`;
    const options = ['--local-port', `${PORT}`, '-s', '-N', '-m', '60', '-o', '/dev/null'];
    const [program, ...args] = insideNamespace(lab.namespace(client!.name), [
      'curl',
      '-q',
      ...options,
      url,
    ]);
    const curl = spawn(program!, args, { stdio: 'ignore' });
    try {
      const flow = `${client!.address[4]}:${PORT}`;
      await waitUntil(async () => (await holdfast(lab, 'pop-c', 'trace', flow)).code === 0, {
        complaint: 'no flow',
        timeoutMs: 10_000,
      });
      const before = await trace(lab, flow);
      assert.equal(before.owner, 'pop-a');
      assert.equal(before.vip, '192.0.2.10:80');
      assert.deepEqual([...before.homes].sort(), ['pop-a', 'pop-b', 'pop-c']);
      assert.deepEqual(
        before.nodes.map(({ node, who, to }) => [node, who, to]),
        [
          ['pop-a', 'here', null],
          ['pop-b', 'there', 'pop-a'],
          ['pop-c', 'there', 'pop-a'],
        ],
      );
      assert.deepEqual(before.silent, []);

      await mover.pointTo(pops[1]!);
      await sleep(500);
      const { stdout } = await holdfast(lab, 'pop-b', 'status', '--json');
      const { agent } = JSON.parse(stdout) as { agent: AgentStatus };
      const [switched] = agent.switched.recent;
      assert.equal(agent.switched.total, 1);
      assert.deepEqual(
        [switched?.client, switched?.vip, switched?.entry, switched?.owner, switched?.foundBy],
        [flow, '192.0.2.10:80', 'pop-b', 'pop-a', 'directory'],
      );
      const log = await runCommand([
        'grep',
        'flow switched',
        join(lab.directory('pop-b'), 'agent.log'),
      ]);
      assert.match(log, new RegExp(`"client":"${flow}"`));
      const nodes = await holdfast(lab, 'pop-b', 'nodes');
      assert.equal(nodes.code, 0, nodes.stdout);
      assert.match(nodes.stdout, /pop-a .* alive /);
    } finally {
      curl.kill();
      await Promise.all(pops.map((pop) => healing.stop(lab, pop)));
    }
  });
});
