/** A server that is no part of any lab: the lab's origin itself, on loopback. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { EXTERNAL, runExternal } from '../../bench/flap/external.ts';
import { planFlap } from '../../bench/flap/plan.ts';
import { silentSuite } from '../../bench/flap/progress.ts';
import type { FlapResult } from '../../bench/flap/result.ts';
import { type ScenarioInput, scenarioSchema } from '../../bench/lab/scenarios/schema.ts';
import { scriptPath } from '../../bench/lab/scripts.ts';
import { makePair, withoutOpenssl } from '../config/pem.ts';

const written: ScenarioInput = {
  name: 'there',
  about: 'sessions of every kind that needs no lab',
  durationMs: 1_500,
  tailMs: 500,
  clients: { download: 1, upload: 1, websocket: 1, sse: 1, keepalive: 1, connect: 1, idle: 2 },
  transferBytes: 65_536,
  stallMs: 3_000,
  events: [{ atMs: 300, do: 'flip', to: 'next' }],
  expected: { on: 'survive', off: 'any' },
};

const planned = (changes: Partial<ScenarioInput> = {}) =>
  planFlap({
    scenarios: [scenarioSchema.parse({ ...written, ...changes })],
    servers: [EXTERNAL],
    agent: 'off',
    families: [4],
  });

const options = (port: number, onEvent?: string) => ({
  suite: EXTERNAL,
  command: 'holdfast bench flap --target …',
  seed: 0,
  progress: silentSuite,
  target: new URL(`http://127.0.0.1:${port}`),
  onEvent,
});

/** The lab's origin on a free port of loopback. */
async function withOrigin(work: (port: number, kill: () => void) => Promise<void>): Promise<void> {
  const argv = [scriptPath('./origin/app.ts'), '0', '127.0.0.1'];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  try {
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        resolve(Number(/port (\d+)/.exec(text)?.[1]));
      });
      child.once('close', () => reject(new Error('the origin ended')));
    });
    await work(port, () => child.kill('SIGKILL'));
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

test('sessions against any address are measured, and the user’s command is told of each event', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-external-'));
  try {
    await withOrigin(async (port) => {
      const told = join(directory, 'told');
      const hook = `echo "$HOLDFAST_EVENT $HOLDFAST_EVENT_JSON" >> '${told}'; echo moved`;
      const result = await runExternal(planned(), options(port, hook));
      assert.deepEqual(result.failures, []);
      const [cell] = result.cells;
      assert.equal(cell?.sessions.started, 7);
      assert.equal(cell?.sessions.survived, 7, JSON.stringify(cell?.examples));
      assert.deepEqual(cell?.kinds.connect?.survived, 1);
      assert.equal(readFileSync(told, 'utf8'), 'flip {"do":"flip","to":"next"}\n');
      assert.deepEqual(
        cell?.steps.map((step) => [step.type, step.text]),
        [['flip', 'moved']],
      );
      assert.equal(cell?.flips.length, 1);
      // Nobody has seen the network.
      assert.deepEqual([cell?.retransmits, cell?.relayedPackets, cell?.detour], [null, null, null]);
      assert.ok((cell?.throughput.messagesPerS.length ?? 0) === 15);
      assert.ok((cell?.gapMs.count ?? 0) > 0);
      const [contender] = result.contenders;
      assert.deepEqual(
        [contender?.name, result.suite, result.complete],
        ['external', 'external', true],
      );
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('sessions that a server loses are counted as lost', async () => {
  await withOrigin(async (port, kill) => {
    const plan = planned({ clients: { websocket: 2, keepalive: 1, download: 1 } });
    const run = runExternal(plan, options(port, 'echo dead > /dev/null'));
    setTimeout(kill, 1_400);
    const [cell] = (await run).cells;
    assert.deepEqual(cell?.sessions, { started: 4, survived: 0, reset: 4, stalled: 0, corrupt: 0 });
  });
});

test('a command that fails is a failure of the run, and what it said is kept', async () => {
  await withOrigin(async (port) => {
    const plan = planned({ clients: { keepalive: 1 } });
    const hook = 'echo no such route >&2; exit 3';
    const { failures, cells } = await runExternal(plan, options(port, hook));
    assert.deepEqual(cells, []);
    assert.equal(
      failures[0]?.message,
      'the command for the event "flip" ended with code 3: no such route',
    );
  });
});

test('a command that hangs is stopped with all that it has started', async () => {
  await withOrigin(async (port) => {
    const controller = new AbortController();
    const plan = planned({ clients: { keepalive: 1 } });
    setTimeout(() => controller.abort(new Error('enough')), 1_500);
    const fromMs = performance.now();
    const hook = 'sleep 50; echo never';
    const result = await runExternal(plan, { ...options(port, hook), signal: controller.signal });
    assert.ok(performance.now() - fromMs < 20_000, 'sleep would hold its output open');
    assert.deepEqual([result.cells, result.failures], [[], []]);
  });
});

test('an address that serves something else is refused, and so is one that serves nothing', async () => {
  const server = createServer((_, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await assert.rejects(runExternal(planned(), options(port)), /holdfast lab origin/);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  await assert.rejects(runExternal(planned(), options(port)), /does not answer/);
});

test('what needs the lab is refused before anything is asked', async () => {
  const psql = planned({ clients: { psql: 1 } });
  await assert.rejects(runExternal(psql, options(1)), /psql and ssh sessions need the lab/);
  const target = new URL('https://127.0.0.1:1');
  const idle = planned({ clients: { idle: 1 } });
  await assert.rejects(runExternal(idle, { ...options(1), target }), /idle sessions speak no TLS/);
});

test('a run that is stopped keeps what it has', async () => {
  await withOrigin(async (port) => {
    const controller = new AbortController();
    const plan = planFlap({
      scenarios: [scenarioSchema.parse({ ...written, clients: { keepalive: 1 }, events: [] })],
      servers: [EXTERNAL],
      agent: 'off',
      families: [4],
      repetitions: 3,
    });
    let done = 0;
    const progress = {
      ...silentSuite,
      done: () => {
        done += 1;
        setTimeout(() => controller.abort(new Error('enough')), 200);
      },
    };
    const result = await runExternal(plan, {
      ...options(port),
      progress,
      signal: controller.signal,
    });
    assert.equal(done, 1);
    assert.deepEqual([result.cells.length, result.plannedCells, result.complete], [1, 3, false]);
    assert.deepEqual(result.failures, []);
  });
});

test('a server that speaks TLS is measured by the command line, which trusts whom it is told to', {
  skip: withoutOpenssl,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-external-'));
  const { certFile, cert, key } = makePair(directory, 'there', ['localhost']);
  try {
    await withOrigin(async (port) => {
      const server = createTlsServer({ cert, key }, (client) => {
        const origin = connect(port, '127.0.0.1');
        client.on('error', () => origin.destroy()).pipe(origin);
        origin.on('error', () => client.destroy()).pipe(client);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port: tlsPort } = server.address() as AddressInfo;
      const clients = { download: 1, upload: 1, websocket: 1, sse: 1, keepalive: 1, connect: 1 };
      const file = join(directory, 'there.yaml');
      writeFileSync(file, JSON.stringify({ ...written, clients }));
      const target = `https://localhost:${tlsPort}`;
      const out = join(directory, 'out.json');
      const args = ['bench', 'flap', '--target', target, '--scenario', file, '--json', out];
      const program = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: certFile, CURL_CA_BUNDLE: certFile };
      const child = spawn(process.execPath, [program, ...args], { env, stdio: 'pipe' });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
      }
      const code = await new Promise((resolve) => child.once('close', resolve));
      server.close();
      assert.equal(code, 0, said);
      const [cell] = (JSON.parse(readFileSync(out, 'utf8')) as FlapResult).cells;
      assert.equal(cell?.sessions.survived, 5, JSON.stringify(cell?.examples));
      assert.equal(cell?.kinds.connect?.survived, 1);
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
