import assert from 'node:assert/strict';
import type http from 'node:http';
import { type TestContext, test } from 'node:test';
import { ask, httpOrigin, routed, startEdge, until } from './edge-under-test.ts';

const CLAIMS = {
  'x-forwarded-for': '198.51.100.1, 203.0.113.7, 10.0.0.9',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'shop.example',
  'x-forwarded-port': '443',
  'x-request-id': 'from-the-front',
};

async function seenBy(
  t: TestContext,
  trustedProxies: string[],
  headers: http.OutgoingHttpHeaders,
): Promise<{ headers: http.IncomingHttpHeaders; client: string; id: string | undefined }> {
  let seen: http.IncomingHttpHeaders = {};
  const origin = await httpOrigin(t, (request, response) => {
    seen = request.headers;
    response.end();
  });
  const edge = await startEdge(t, { ...routed(origin.at), trustedProxies });
  await ask(edge.port, { headers });
  await until(() => edge.records.length === 1);
  return { headers: seen, client: edge.records[0]!.client, id: edge.records[0]!.id };
}

test('nobody is believed by default', async (t) => {
  const { headers, client, id } = await seenBy(t, [], { ...CLAIMS, forwarded: 'for=203.0.113.7' });
  assert.equal(client, '127.0.0.1');
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(headers['x-forwarded-proto'], 'http');
  assert.equal(headers['x-forwarded-port'], undefined);
  assert.match(headers.forwarded!, /^for=127\.0\.0\.1;/);
  assert.notEqual(id, 'from-the-front');
});

test('a trusted proxy is believed as far as trust goes', async (t) => {
  const { headers, client, id } = await seenBy(t, ['127.0.0.1', '10.0.0.0/8'], CLAIMS);
  assert.equal(client, '203.0.113.7');
  assert.equal(headers['x-forwarded-for'], '198.51.100.1, 203.0.113.7, 10.0.0.9, 127.0.0.1');
  assert.equal(headers['x-forwarded-proto'], 'https');
  assert.equal(headers['x-forwarded-host'], 'shop.example');
  assert.equal(headers['x-forwarded-port'], '443');
  assert.equal(headers['x-request-id'], 'from-the-front');
  assert.equal(id, 'from-the-front');
});

test('Forwarded of a trusted proxy is continued', async (t) => {
  const { headers, client } = await seenBy(t, ['127.0.0.0/8'], {
    forwarded: 'for="[2001:db8::7]:5";proto=https',
    host: 'a:1',
  });
  assert.equal(client, '2001:db8::7');
  assert.equal(
    headers.forwarded,
    'for="[2001:db8::7]:5";proto=https, for=127.0.0.1;host="a:1";proto=http',
  );
});

test('what a trusted proxy passes on that is no address ends at the proxy', async (t) => {
  const { client } = await seenBy(t, ['127.0.0.1'], { 'x-forwarded-for': '203.0.113.7, <script>' });
  assert.equal(client, '127.0.0.1');
});
