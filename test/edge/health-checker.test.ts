import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { parseOrigin } from '../../src/config/origin.ts';
import type { HealthConfig } from '../../src/config/schema.ts';
import { HealthChecker, type HealthTarget } from '../../src/edge/health-checker.ts';

const HEALTH: HealthConfig = {
  path: '/healthz',
  intervalMs: 100,
  timeoutMs: 80,
  rise: 1,
  fall: 2,
  status: [],
};

async function listen(t: TestContext, server: net.Server | http.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    if (server instanceof http.Server) server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

function targetAt(port: number, health: Partial<HealthConfig> = {}, scheme = 'http'): HealthTarget {
  const origin = parseOrigin(`${scheme}://127.0.0.1:${port}`);
  return { key: 'route', origin, health: { ...HEALTH, ...health } };
}

/** A running checker whose transitions can be waited for, with a limit on the wait. */
function watch(t: TestContext, targets: HealthTarget[]) {
  const changes: string[] = [];
  let wake = () => {};
  const logged: string[] = [];
  const checker = new HealthChecker({
    targets,
    onChange: (key, originId, healthy, reason) => {
      assert.equal(key, 'route');
      assert.ok(targets.some((target) => target.origin.id === originId));
      changes.push(`${healthy ? 'up' : 'down'}: ${reason}`);
      wake();
    },
    log: { info: (_, text) => logged.push(text), warn: (_, text) => logged.push(text) },
  });
  t.after(() => checker.stop());
  checker.start();
  const next = async (): Promise<string> => {
    while (changes.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no transition within 5 s')), 5_000);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return changes.shift()!;
  };
  return { checker, changes, logged, next };
}

test('an origin that answers badly falls, and rises when it answers well', async (t) => {
  let status = 500;
  const seen: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request);
    response.writeHead(status).end('body');
  });
  const { next, logged } = watch(t, [targetAt(await listen(t, server), { host: 'app.example' })]);
  assert.equal(await next(), 'down: status 500');
  status = 204;
  assert.equal(await next(), 'up: check passed');
  assert.deepEqual(logged, ['origin is unhealthy', 'origin is healthy']);
  assert.equal(seen[0]!.url, '/healthz');
  assert.equal(seen[0]!.headers.host, 'app.example');
  assert.equal(seen[0]!.headers['user-agent'], 'holdfast-health');
  assert.equal(seen[0]!.headers.connection, 'close');
});

test('only the configured status codes count as healthy', async (t) => {
  const server = http.createServer((_, response) => response.writeHead(200).end());
  const { next } = watch(t, [targetAt(await listen(t, server), { status: [204] })]);
  assert.equal(await next(), 'down: status 200');
});

test('says that nobody listens', async (t) => {
  const server = net.createServer();
  const port = await listen(t, server);
  await new Promise((resolve) => server.close(resolve));
  const { next } = watch(t, [targetAt(port)]);
  assert.match(await next(), /^down: .*ECONNREFUSED/);
});

test('an origin that accepts and says nothing is too slow', async (t) => {
  const server = net.createServer((socket) => {
    t.after(() => socket.destroy());
  });
  const { next } = watch(t, [targetAt(await listen(t, server))]);
  assert.equal(await next(), 'down: no complete answer within 80 ms (timeoutMs)');
});

test('a body that never ends is too slow, a body without measure is cut and counts', async (t) => {
  let isEndless = false;
  const server = http.createServer((_, response) => {
    response.on('error', () => {});
    response.writeHead(200);
    if (!isEndless) return response.write('x');
    const pour = () => {
      while (!response.destroyed && response.write(Buffer.alloc(32_768)));
    };
    response.on('drain', pour);
    return pour();
  });
  const { next } = watch(t, [targetAt(await listen(t, server))]);
  assert.match(await next(), /^down: no complete answer/);
  isEndless = true;
  assert.equal(await next(), 'up: check passed');
});

test('an origin that breaks off or talks nonsense is unhealthy, and nothing is thrown', async (t) => {
  const answers = [
    '',
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxx',
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
  ];
  const targets: HealthTarget[] = [];
  for (const answer of answers) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer, 'latin1'));
    });
    targets.push(targetAt(await listen(t, server), { fall: 1 }));
  }
  const { next } = watch(t, targets);
  const reasons: string[] = [];
  for (const _ of answers) reasons.push(await next());
  assert.ok(reasons.every((reason) => reason.startsWith('down: ')));
});

test('a TLS origin whose handshake fails is unhealthy, and the reason says so', async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  const { next } = watch(t, [targetAt(await listen(t, server), {}, 'https')]);
  assert.match(await next(), /^down: .*(SSL|TLS|EPROTO)/i);
});

test('a path that no request can carry is a failed check', async (t) => {
  const server = http.createServer((_, response) => response.end());
  const { next } = watch(t, [targetAt(await listen(t, server), { path: '/a b' })]);
  assert.match(await next(), /^down: .*unescaped/);
});

test('an update lets what is the same go on, and reports what is gone as healthy', async (t) => {
  let checks = 0;
  const server = http.createServer((_, response) => {
    checks += 1;
    response.writeHead(500).end();
  });
  const target = targetAt(await listen(t, server));
  const { checker, changes, next } = watch(t, [target]);
  await next();
  checker.update([structuredClone(target)]);
  const before = checks;
  await new Promise((resolve) => server.once('request', resolve));
  assert.ok(checks > before);
  assert.deepEqual(changes, [], 'it is still unhealthy, so there is nothing to report');
  // Other settings: the state is kept, so it can rise.
  checker.update([{ ...target, health: { ...target.health, status: [500] } }]);
  assert.equal(await next(), 'up: check passed');
  checker.update([{ ...target, health: { ...target.health, status: [200] } }]);
  assert.equal(await next(), 'down: status 500');
  checker.update([]);
  assert.equal(await next(), 'up: no longer checked');
});

test('after a stop nothing more is reported or asked', async (t) => {
  let checks = 0;
  const server = http.createServer(() => {
    checks += 1;
  });
  const port = await listen(t, server);
  const { checker, changes } = watch(t, [targetAt(port, { fall: 1 })]);
  await new Promise((resolve) => server.once('request', resolve));
  checker.stop();
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.deepEqual(changes, []);
  assert.equal(checks, 1);
});
