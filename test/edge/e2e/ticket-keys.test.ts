/** TLS session tickets while their keys change. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { TicketKeys } from '../../../src/edge/ticket-keys.ts';
import { makePair, withoutOpenssl } from '../../config/pem.ts';
import { type EdgeUnderTest, inTime, startEdge } from './edge-under-test.ts';

const skip = withoutOpenssl;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof VERSIONS)[number];

function pair(t: TestContext): { cert: string; key: string } {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-ticket-keys-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const { cert, key } = makePair(directory, 'any', ['any.example']);
  return { cert, key };
}

function edgeWith(t: TestContext, keys: readonly Uint8Array[], pem = pair(t)) {
  const routes = { '/*': { redirect: 'https://b.example{path}' } };
  const sites = { '*': { tls: [pem], routes } };
  return startEdge(t, { listen: ['https://127.0.0.1:0'], sites }, { ticketKeys: keys });
}

/** Shakes hands, asks for something, and waits for the end: tickets of TLS 1.3 come late. */
function handshake(
  { port }: EdgeUnderTest,
  version: Version,
  session?: Buffer,
): Promise<{ resumed: boolean; ticket: Buffer | undefined; answer: string }> {
  const ended = new Promise<{ resumed: boolean; ticket: Buffer | undefined; answer: string }>(
    (resolve, reject) => {
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        servername: 'any.example',
        rejectUnauthorized: false,
        minVersion: version,
        maxVersion: version,
        ...(session === undefined ? {} : { session }),
      });
      let ticket: Buffer | undefined;
      let answer = '';
      let resumed = false;
      socket.on('session', (newer) => {
        ticket = newer;
      });
      socket.on('secureConnect', () => {
        resumed = socket.isSessionReused();
        socket.write('GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n');
      });
      socket.on('data', (chunk) => {
        answer += chunk.toString();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve({ resumed, ticket, answer }));
    },
  );
  return inTime(ended, 'handshake');
}

const keys = () => Array.from({ length: 4 }, () => randomBytes(48));

for (const version of VERSIONS) {
  test(`a ticket outlives the change of its key, at every edge: ${version}`, {
    skip,
  }, async (t) => {
    const [old, present, next, foreign] = keys() as [Buffer, Buffer, Buffer, Buffer];
    const pem = pair(t);
    const [a, b, stranger] = [
      await edgeWith(t, [present, old], pem),
      await edgeWith(t, [present, old], pem),
      await edgeWith(t, [foreign], pem),
    ];
    const first = await handshake(a, version);
    assert.equal(first.resumed, false);
    assert.equal((await handshake(b, version, first.ticket)).resumed, true);

    // The next key is known everywhere before anybody uses it.
    a.edge.setTicketKeys([present, next, old]);
    b.edge.setTicketKeys([present, next, old]);
    assert.equal((await handshake(b, version, first.ticket)).resumed, true);

    // One node changes over before the other: both open what either seals.
    a.edge.setTicketKeys([next, present, old]);
    const early = await handshake(a, version);
    assert.equal((await handshake(b, version, early.ticket)).resumed, true);
    assert.equal((await handshake(a, version, first.ticket)).resumed, true);
    b.edge.setTicketKeys([next, present, old]);
    assert.equal((await handshake(b, version, first.ticket)).resumed, true);

    // Nobody knows the first key any more: a full handshake, no error.
    b.edge.setTicketKeys([next]);
    for (const edge of [b, stranger]) {
      const again = await handshake(edge, version, first.ticket);
      assert.equal(again.resumed, false);
      assert.match(again.answer, /^HTTP\/1\.1 308 /);
      assert.equal((await handshake(edge, version, again.ticket)).resumed, true);
    }
  });

  test(`a renewed certificate keeps all keys: ${version}`, { skip }, async (t) => {
    const [old, present] = keys() as [Buffer, Buffer];
    const edge = await edgeWith(t, [old]);
    const { ticket } = await handshake(edge, version);
    edge.edge.setTicketKeys([present, old]);
    const renewed = {
      '*': { tls: [pair(t)], routes: { '/*': { redirect: 'https://c.example' } } },
    };
    await edge.edge.apply(edge.config({ sites: renewed }));
    assert.equal((await handshake(edge, version, ticket)).resumed, true);
    edge.edge.setTicketKeys([present]);
    assert.equal((await handshake(edge, version, ticket)).resumed, false);
  });

  test(`no ticket that was tampered with resumes or hurts: ${version}`, { skip }, async (t) => {
    const all = keys();
    const edge = await edgeWith(t, all);
    const { ticket } = await handshake(edge, version);
    const nameAt = ticket!.indexOf(all[0]!.subarray(0, 16));
    assert.ok(nameAt > 0, 'a ticket begins with the name of its key');
    // The name, the IV and the beginning of what is sealed.
    await fc.assert(
      fc.asyncProperty(fc.nat(79), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const broken = Buffer.from(ticket!);
        broken[nameAt + at]! ^= change;
        const { resumed, answer } = await handshake(edge, version, broken);
        assert.equal(resumed, false);
        assert.match(answer, /^HTTP\/1\.1 308 /);
      }),
      { numRuns: 25 },
    );
    assert.equal((await handshake(edge, version, ticket)).resumed, true);
  });
}

test('where Node asks for no keys, the first one is in use', () => {
  const [first, second] = keys() as [Buffer, Buffer];
  const given: Buffer[] = [];
  const server = { setTicketKeys: (key: Buffer) => given.push(key) } as unknown as tls.Server;
  const list = new TicketKeys([first]);
  list.giveTo(server);
  list.set([second, first]);
  list.giveTo(server);
  assert.deepEqual(given, [first, second]);
});

test('keys of a wrong length are refused without being shown, and change nothing', () => {
  const good = randomBytes(48);
  const list = new TicketKeys([good]);
  for (const wrong of [[], [randomBytes(47)], [good, Buffer.from('secret')]]) {
    assert.throws(() => list.set(wrong), {
      name: 'RangeError',
      message: 'TLS ticket keys have 48 bytes each, and one is needed',
    });
  }
  assert.deepEqual(list.first, good);
  good.fill(0);
  assert.notDeepEqual(list.first, good, 'keys are copied');
});
