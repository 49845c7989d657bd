import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  clientResponseHeaders,
  fieldValue,
  originRequestHeaders,
  type RequestFacts,
} from '../../src/edge/headers.ts';

const facts: RequestFacts = {
  requestId: 'id-1',
  host: 'app.example',
  clientHost: 'app.example',
  proto: 'https',
  client: '203.0.113.7',
  forwarded: 'for=203.0.113.7;host=app.example;proto=https',
  peerTrusted: false,
  via: '1.1 fra1-a',
};

function asObject(list: readonly string[]): Record<string, string> {
  const object: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) {
    const name = (list[i] as string).toLowerCase();
    assert.equal(object[name], undefined, `${name} stands twice`);
    object[name] = list[i + 1] as string;
  }
  return object;
}

test('an untrusted client cannot say for whom it asks, whatever the spelling', () => {
  const sent = originRequestHeaders(
    [
      ...['Host', 'app.example', 'X-Forwarded-For', '10.0.0.1', 'x-forwarded-proto', 'http'],
      ...['X-FORWARDED-HOST', 'evil.example', 'Forwarded', 'for=10.0.0.1', 'X-Real-IP', '10.0.0.1'],
      ...['X_Forwarded_For', '10.0.0.1', 'x-forwarded_host', 'evil', 'X_Real_IP', '10.0.0.1'],
      ...[
        'X-Forwarded-Port',
        '1',
        'X-Holdfast-Node',
        'other',
        'X-Request-Id',
        'mine',
        'X-Own',
        '1',
      ],
    ],
    facts,
  );
  assert.deepEqual(asObject(sent), {
    host: 'app.example',
    'x-own': '1',
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'app.example',
    forwarded: 'for=203.0.113.7;host=app.example;proto=https',
    via: '1.1 fra1-a',
    'x-request-id': 'id-1',
  });
});

test('what a trusted proxy says of its client is kept and added to', () => {
  const sent = asObject(
    originRequestHeaders(
      [
        ...[
          'Host',
          'app.example',
          'X-Forwarded-For',
          '198.51.100.9',
          'X-Forwarded-For',
          '10.1.1.1',
        ],
        ...[
          'X-Forwarded-Proto',
          'http',
          'X-Forwarded-Host',
          'www.example',
          'X-Forwarded-Port',
          '80',
        ],
        ...['Forwarded', 'for=198.51.100.9', 'Via', '1.0 old', 'X-Real-IP', '198.51.100.9'],
      ],
      { ...facts, peerTrusted: true },
    ),
  );
  assert.equal(sent['x-forwarded-for'], '198.51.100.9, 10.1.1.1, 203.0.113.7');
  assert.equal(sent['x-forwarded-proto'], 'http');
  assert.equal(sent['x-forwarded-host'], 'www.example');
  assert.equal(sent['x-forwarded-port'], '80');
  assert.equal(sent['x-real-ip'], '198.51.100.9');
  assert.equal(sent.forwarded, `for=198.51.100.9, ${facts.forwarded}`);
  assert.equal(sent.via, '1.0 old, 1.1 fra1-a');
});

test('fields about one connection, and those that Connection names, stay behind', () => {
  const raw = [
    ...[
      'Host',
      'a',
      'Connection',
      'keep-alive, X-Secret',
      'Connection',
      'x-other',
      'X-Secret',
      '1',
    ],
    ...[
      'X-Other',
      '2',
      'Keep-Alive',
      'timeout=5',
      'TE',
      'trailers',
      'Trailer',
      'x',
      'Upgrade',
      'h2c',
    ],
    ...['Proxy-Connection', 'x', 'Proxy-Authorization', 'x', 'Transfer-Encoding', 'chunked'],
    ...['HTTP2-Settings', 'x', 'Expect', '100-continue', 'Accept', '*/*'],
  ];
  const sent = asObject(originRequestHeaders(raw, facts));
  const kept = Object.keys(sent).filter((name) => !name.startsWith('x-') && name !== 'forwarded');
  assert.deepEqual(kept.sort(), ['accept', 'host', 'via']);
  assert.equal(sent['x-secret'], undefined);
  assert.equal(sent['x-other'], undefined);
});

test('a client cannot have the Host that the edge sends removed', () => {
  const sent = originRequestHeaders(['Host', 'a', 'Connection', 'host, x-request-id'], facts);
  assert.equal(fieldValue(sent, 'host'), 'app.example');
  assert.equal(fieldValue(sent, 'x-request-id'), 'id-1');
});

test('an answer keeps its fields, their order and their repetitions', () => {
  const raw = [
    ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'close, X-Hop', 'X-Hop', '1'],
    ...['Content-Type', 'text/plain', 'Keep-Alive', 'timeout=5', 'Transfer-Encoding', 'chunked'],
    ...['Via', '1.1 inner', 'X-Request-Id', 'forged', 'X-Holdfast-Node', 'forged'],
  ];
  const out = clientResponseHeaders(raw, {
    requestId: 'id-1',
    via: '1.1 fra1-a',
    node: 'fra1-a',
    setCookie: 'holdfast-origin=abc',
  });
  assert.deepEqual(out, [
    ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Type', 'text/plain'],
    ...['via', '1.1 inner, 1.1 fra1-a', 'x-holdfast-node', 'fra1-a', 'x-request-id', 'id-1'],
    ...['set-cookie', 'holdfast-origin=abc'],
  ]);
});

test('any list of fields gives a list of pairs without hop-by-hop names', () => {
  const name = fc.oneof(
    fc.stringMatching(/^[A-Za-z-]{1,20}$/),
    fc.constantFrom('Connection', 'TE', 'Keep-Alive', 'X-Forwarded-For', 'x_forwarded_for', 'Host'),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.stringMatching(/^[ -~]{0,30}$/))), (pairs) => {
      const out = originRequestHeaders(pairs.flat(), facts);
      assert.equal(out.length % 2, 0);
      const names = out.filter((_, i) => i % 2 === 0).map((n) => n.toLowerCase());
      for (const bad of ['connection', 'te', 'keep-alive', 'x_forwarded_for']) {
        assert.ok(!names.includes(bad), bad);
      }
      for (const once of ['host', 'x-forwarded-for', 'forwarded', 'via', 'x-request-id']) {
        assert.equal(names.filter((n) => n === once).length, 1, once);
      }
    }),
    { numRuns: 500 },
  );
});
