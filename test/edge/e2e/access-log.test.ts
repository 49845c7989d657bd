import assert from 'node:assert/strict';
import test from 'node:test';
import { ask, httpOrigin, routed, startEdge, until } from './edge-under-test.ts';

test('the access log is switched off and on again by a reload', async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end('ok'));
  const { port, edge, config, records } = await startEdge(t, routed(origin.at));
  await ask(port, { path: '/first' });
  await until(() => records.length === 1);
  await edge.apply(config({ accessLog: 'off' }));
  await ask(port, { path: '/second' });
  await edge.apply(config({ accessLog: 'stdout' }));
  await ask(port, { path: '/third' });
  await until(() => records.length === 2);
  assert.deepEqual(
    records.map((record) => record.target),
    ['/first', '/third'],
  );
});
