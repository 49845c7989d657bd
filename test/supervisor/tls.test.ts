import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect } from 'node:tls';
import { makePair, withoutOpenssl } from '../config/pem.ts';
import { eventually, NodeUnderTest } from './node-under-test.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
after(() => rmSync(directory, { recursive: true }));

interface Handshake {
  readonly reused: boolean;
  readonly fingerprint: string;
  /** For later connections; none comes when one was used, since it stays good for those, too. */
  readonly session: Buffer | undefined;
}

/** Shakes hands and asks something, since TLS 1.3 sends its session tickets after the handshake. */
function handshake(port: number, session?: Buffer): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', servername: 'a.example', rejectUnauthorized: false };
    const socket = connect(session === undefined ? options : { ...options, session });
    let ticket: Buffer | undefined;
    socket.on('session', (newer) => {
      ticket = newer;
    });
    socket.on('error', reject);
    socket.on('secureConnect', () => {
      socket.write('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n');
    });
    // A resumed session carries no certificate: ask before the end.
    const facts = new Promise<[boolean, string]>((found) => {
      socket.on('secureConnect', () => {
        found([socket.isSessionReused(), socket.getPeerCertificate().fingerprint256]);
      });
    });
    socket.on('data', () => undefined);
    socket.on('close', () => {
      void facts.then(([reused, fingerprint]) => resolve({ reused, fingerprint, session: ticket }));
    });
  });
}

test('a session resumes at every worker, and a renewed certificate needs no restart', {
  skip: withoutOpenssl,
}, async (t) => {
  makePair(directory, 'a', ['a.example']);
  const node = new NodeUnderTest(`listen: ["https://127.0.0.1:0"]
admin: 127.0.0.1:0
workers: 2
accessLog: off
sites:
  a.example:
    tls: {cert: ${directory}/a.pem, key: ${directory}/a.key}
    routes: {/*: {redirect: "https://b.example{path}"}}
`);
  t.after(() => node.dispose());
  await node.up();
  const port = Number(new URL(node.url).port);
  const first = await handshake(port);
  assert.equal(first.reused, false);
  assert.ok(first.session);
  for (let i = 0; i < 20; i++) {
    assert.equal((await handshake(port, first.session)).reused, true, `connection ${i}`);
  }
  // Another worker than the one that made the ticket must know it, too.
  for (const { pid } of (await node.status()).workers.slice(0, 1))
    process.kill(pid ?? 0, 'SIGKILL');
  await eventually('the replacement', () => node.logged('worker is up').length === 3);
  const newPort = Number(new URL((await node.status()).listeners[0] ?? '').port);
  for (let i = 0; i < 10; i++) {
    const again = await handshake(newPort, first.session);
    assert.equal(again.reused, true, `connection ${i} after the crash`);
  }
  makePair(directory, 'a', ['a.example']);
  node.signal('SIGHUP');
  await eventually('the reload', () => node.logged('reloaded').length === 1);
  assert.deepEqual(node.logged('reloaded')[0]?.changes, ['changed tls a.example']);
  assert.notEqual((await handshake(newPort)).fingerprint, first.fingerprint);
});
