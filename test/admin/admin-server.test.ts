import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { type AdminAnswer, AdminServer } from '../../src/admin/admin-server.ts';
import { parseListener } from '../../src/config/listener.ts';

let reloads = 0;
const answer = (body: unknown) => async (): Promise<AdminAnswer> => ({ status: 200, body });
const server = new AdminServer(parseListener('127.0.0.1:0'), {
  healthz: answer('ok\n'),
  status: answer({ state: 'running' }),
  metrics: async () => ({ status: 200, body: 'up 1\n', contentType: 'text/plain; version=0.0.4' }),
  config: async () => {
    throw new Error('broken on purpose');
  },
  reload: async () => {
    reloads += 1;
    return { status: 200, body: { changes: [] } };
  },
});
before(() => server.listen());
after(() => server.cut());

/** Sends bytes as they are and gives the whole answer. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  let answered = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answered += chunk;
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answered;
}

const ask = (line: string, headers = '', body = '') =>
  raw(`${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n${body}`);

test('what exists is answered, JSON as JSON and texts as texts', async () => {
  assert.match(await ask('GET /healthz'), /^HTTP\/1\.1 200 .*text\/plain.*\r\n\r\nok\n$/s);
  assert.match(await ask('GET /status?x=1'), /application\/json.*"state": "running"/s);
  assert.match(await ask('GET /metrics'), /text\/plain; version=0\.0\.4.*up 1\n$/s);
  assert.match(await ask('HEAD /healthz'), /^HTTP\/1\.1 200 .*\r\n\r\n$/s);
});

test('what does not exist says what does', async () => {
  assert.match(await ask('GET /'), /^HTTP\/1\.1 404 .*there is GET \/healthz, GET \/status/s);
  assert.match(await ask('POST /status'), /^HTTP\/1\.1 405 .*\/status takes GET/s);
  assert.match(await ask('GET /reload'), /^HTTP\/1\.1 405 .*\/reload takes POST/s);
});

test('a reload is a POST of this machine, never of a web page or through a foreign name', async () => {
  reloads = 0;
  assert.match(await ask('POST /reload', 'Origin: http://evil.example\r\n'), /^HTTP\/1\.1 403 /);
  const rebound = 'POST /reload HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
  assert.match(await raw(rebound), /^HTTP\/1\.1 403 .*evil\.example/s);
  assert.equal(reloads, 0);
  assert.match(await ask('POST /reload'), /^HTTP\/1\.1 200 /);
  assert.equal(reloads, 1);
});

test('a body that is too large is refused before it is read to its end', async () => {
  reloads = 0;
  const large = await ask('POST /reload', 'Content-Length: 1000000\r\n', 'x'.repeat(2_000));
  assert.match(large, /^HTTP\/1\.1 413 /);
  assert.equal(reloads, 0);
});

test('a source that fails is an answer, not a crash', async () => {
  assert.match(await ask('GET /config'), /^HTTP\/1\.1 500 .*broken on purpose/s);
  assert.match(await ask('GET /healthz'), /^HTTP\/1\.1 200 /);
});

test('an address in use says so', async () => {
  const second = new AdminServer(parseListener(server.url), {} as never);
  await assert.rejects(second.listen(), { code: 'ERR_LISTEN', message: /another process listens/ });
});
