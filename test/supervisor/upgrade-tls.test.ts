/** TLS sessions that began at a release before resume at the one that took over. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makePair, withoutOpenssl } from '../config/pem.ts';
import { NodeUnderTest } from './node-under-test.ts';
import { opensslHandshake, TLS_VERSIONS } from './openssl-client.ts';

test('a TLS ticket from before an upgrade resumes after it, and after the next', {
  skip: withoutOpenssl,
}, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-tickets-'));
  t.after(() => rmSync(directory, { recursive: true }));
  makePair(directory, 'a', ['a.example']);
  const node = new NodeUnderTest(`listen: ["https://127.0.0.1:0"]
admin: 127.0.0.1:0
workers: 1
accessLog: off
sites:
  a.example:
    tls: {cert: ${directory}/a.pem, key: ${directory}/a.key}
    routes: {/*: {redirect: "https://b.example{path}"}}
`);
  t.after(() => node.dispose());
  await node.up();
  const file = (version: string) => join(directory, `${version}.session`);
  for (const version of TLS_VERSIONS) {
    const first = await opensslHandshake(node.url, version, { out: file(version) });
    assert.deepEqual([first.resumed, first.answered], [false, true], version);
  }
  const { keyName } = await opensslHandshake(node.url, 'tls1_2');
  let before = await node.status();
  for (let upgrades = 1; upgrades <= 2; upgrades++) {
    const upgraded = await node.command('upgrade');
    assert.deepEqual([upgraded.code, upgraded.stderr], [0, '']);
    const after = await node.status();
    assert.notEqual(after.pid, before.pid);
    // Nobody had a session, so that only the new release can have answered.
    assert.notEqual(after.workers[0]?.pid, before.workers[0]?.pid);
    for (const version of TLS_VERSIONS) {
      const again = await opensslHandshake(node.url, version, { in: file(version) });
      assert.deepEqual([again.resumed, again.answered], [true, true], `${version}, ${upgrades}`);
    }
    assert.equal((await opensslHandshake(node.url, 'tls1_2')).keyName, keyName);
    before = after;
  }
});
