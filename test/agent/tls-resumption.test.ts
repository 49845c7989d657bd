/** A TLS session ticket of one node resumes at all others, also while its key is replaced. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makePair, withoutOpenssl } from '../config/pem.ts';
import { ask, eventually, NodeUnderTest } from '../supervisor/node-under-test.ts';
import {
  opensslHandshake as handshake,
  type TlsVersion,
  TLS_VERSIONS as VERSIONS,
} from '../supervisor/openssl-client.ts';
import { MeshOfNodes } from './mesh-of-nodes.ts';

const NAMES = ['a', 'b', 'c'] as const;

describe('TLS session tickets', { skip: withoutOpenssl, timeout: 180_000 }, () => {
  let mesh: MeshOfNodes;
  let stranger: NodeUnderTest;
  let directory: string;
  const file = (name: string) => join(directory, `${name}.session`);

  /** Names of the keys that seal at the nodes now. */
  const sealing = async (): Promise<string[]> => {
    const all = await Promise.all(NAMES.map((name) => handshake(mesh.node(name).url, 'tls1_2')));
    return all.map(({ keyName }) => keyName);
  };
  const resumes = async (
    where: readonly string[],
    version: TlsVersion,
    ticket: string,
    when: string,
  ): Promise<void> => {
    for (const name of where) {
      const { resumed, answered } = await handshake(mesh.node(name).url, version, {
        in: file(ticket),
      });
      assert.ok(resumed && answered, `${version}, ticket "${ticket}" at ${name} ${when}`);
    }
  };

  before(async () => {
    mesh = new MeshOfNodes('');
    directory = mesh.directory;
    makePair(directory, 'a', ['a.example']);
    const site = `listen: ["https://127.0.0.1:0"]
sites:
  a.example:
    tls: {cert: ${directory}/a.pem, key: ${directory}/a.key}
    routes: {/*: {redirect: "https://b.example{path}"}}
`;
    await mesh.reserve(NAMES);
    await Promise.all([
      ...NAMES.map((name) =>
        mesh.start(name, {
          yaml: site,
          workers: name === 'b' ? 2 : 1,
          mesh: '  ticketKeyMs: 60000',
        }),
      ),
      (async () => {
        stranger = new NodeUnderTest(`admin: 127.0.0.1:0\nworkers: 1\naccessLog: off\n${site}`);
        await stranger.up();
      })(),
    ]);
    await mesh.together(3);
    await eventually('one key everywhere', async () => new Set(await sealing()).size === 1);
  });
  after(async () => {
    await mesh?.close();
    await stranger?.dispose();
  });

  test('a ticket of one node resumes at all, before, while and after its key is replaced', async () => {
    for (const version of VERSIONS) {
      const first = await handshake(mesh.node('a').url, version, { out: file(`old ${version}`) });
      assert.equal(first.resumed, false);
      await resumes(NAMES, version, `old ${version}`, 'before the change');
      const elsewhere = await handshake(stranger.url, version, { in: file(`old ${version}`) });
      assert.deepEqual([elsewhere.resumed, elsewhere.answered], [false, true], 'no error either');
    }
    const [old] = await sealing();
    const renewed = await mesh.command('b', 'keys', 'renew-ticket');
    assert.equal(renewed.code, 0, renewed.stderr);
    assert.match((await mesh.command('c', 'keys', 'renew-ticket')).stdout, /is on its way/);

    // The change comes at each node by itself, some seconds later. There is no moment between.
    let rounds = 0;
    await eventually('the next key everywhere', async () => {
      for (const version of VERSIONS) {
        const at = NAMES[rounds++ % 3]!;
        await handshake(mesh.node(at).url, version, { out: file('fresh') });
        await resumes(NAMES, version, 'fresh', `after ${at} made it, in the change`);
        await resumes([at], version, `old ${version}`, 'in the change');
      }
      const now = await sealing();
      return now[0] !== old && new Set(now).size === 1;
    });
    assert.ok(rounds >= 4, `${rounds} rounds`);
    for (const version of VERSIONS) {
      await resumes(NAMES, version, `old ${version}`, 'after the change');
      await handshake(mesh.node('a').url, version, { out: file(`new ${version}`) });
      await resumes(NAMES, version, `new ${version}`, 'after the change');
    }
  });

  test('a worker that comes up late has the present keys', async () => {
    const { workers } = await mesh.node('c').status();
    process.kill(workers[0]!.pid!, 'SIGKILL');
    await eventually('the replacement', () => mesh.node('c').logged('worker is up').length === 2);
    for (const version of VERSIONS) {
      await resumes(['c'], version, `old ${version}`, 'in a new worker');
      await resumes(['c'], version, `new ${version}`, 'in a new worker');
    }
    const { nodes, ticketKeyEpoch } = await mesh.keys('a');
    assert.ok(ticketKeyEpoch >= 2);
    assert.deepEqual(
      nodes.map((node) => node.ticketKeyEpoch),
      [ticketKeyEpoch, ticketKeyEpoch, ticketKeyEpoch],
    );
  });

  test('no key is shown anywhere', async () => {
    const name = Buffer.from((await sealing())[0]!, 'hex');
    assert.equal(name.length, 16);
    const shown: string[] = [];
    for (const each of NAMES) {
      const node = mesh.node(each);
      shown.push(node.stderr, node.stdout);
      for (const path of ['/config', '/status', '/metrics', '/mesh/keys', '/mesh/nodes']) {
        shown.push((await ask(`${node.admin}${path}`)).text);
      }
    }
    const all = shown.join('\n');
    assert.ok(all.includes('"ticketKeyEpoch"'));
    // Every key begins with its name, so a key that is shown shows the name.
    const forms = [name.toString('hex'), name.toString('base64').slice(0, 20), [...name].join(',')];
    for (const form of [...forms, mesh.key, mesh.key.slice(0, 30)]) {
      assert.ok(!all.includes(form), 'a key is shown');
    }
  });
});
