/** A node's agent process whose program is loaded before it is told to start. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AgentProcess } from '../../src/agent/agent-process.ts';

let directory: string;
let file: string;
const heard = () => readFileSync(join(directory, 'heard'), 'utf8').trim().split('\n');

/** An agent in a few lines: it writes down what it hears. */
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-agent-'));
  file = join(directory, 'agent.mjs');
  writeFileSync(
    file,
    `import { appendFileSync } from 'node:fs';
const write = (text) => appendFileSync(${JSON.stringify(join(directory, 'heard'))}, process.pid + ' ' + text + '\\n');
process.on('message', (message) => {
  write(message.type);
  if (message.type === 'start') process.send({ type: 'up' });
  if (message.type === 'stop') process.exit(0);
});
process.on('disconnect', () => { write('alone'); process.exit(0); });
write('loaded');
process.send({ type: 'loaded' });
`,
  );
});
after(() => rmSync(directory, { recursive: true }));

const log = { info: () => undefined, error: () => undefined };
const make = () => new AgentProcess({ log: log as never, file, version: '0' });
const loaded = { config: { mesh: {} } } as never;

test('the prepared process is the one that starts; one that nobody starts ends by itself', async () => {
  const used = make();
  await used.prepare(loaded);
  assert.match(heard().join(), /^\d+ loaded$/);
  await used.start(loaded);
  await used.stop();
  const [first = ''] = heard();
  const [pid] = first.split(' ');
  assert.deepEqual(heard(), [`${pid} loaded`, `${pid} start`, `${pid} stop`]);

  const unused = make();
  await unused.prepare(loaded);
  await unused.handOver();
  const deadline = performance.now() + 20_000;
  while (!/alone$/.test(heard().at(-1) ?? '') && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.match(heard().at(-1) ?? '', /alone$/);
});

test('a prepared process that has died is replaced by a fresh one', async () => {
  const agent = make();
  await agent.prepare(loaded);
  const pid = Number.parseInt(heard().at(-1) ?? '', 10);
  process.kill(pid, 'SIGKILL');
  const deadline = performance.now() + 20_000;
  const isThere = () => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z';
    } catch {
      return false;
    }
  };
  while (isThere() && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  await agent.start(loaded);
  await agent.stop();
  assert.match(heard().at(-1) ?? '', /stop$/);
  assert.notEqual(Number.parseInt(heard().at(-1) ?? '', 10), pid);
});
