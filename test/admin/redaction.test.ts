import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redacted } from '../../src/admin/redaction.ts';

test('private keys are hidden, certificates and everything else are shown', () => {
  const config = {
    sites: { a: { tls: [{ cert: 'CERT', key: 'KEY' }], routes: { '/*': { to: ['h:1'] } } } },
    workers: 2,
    admin: null,
  };
  assert.deepEqual(redacted(config, []), {
    sites: { a: { tls: [{ cert: 'CERT', key: '(hidden)' }], routes: { '/*': { to: ['h:1'] } } } },
    workers: 2,
    admin: null,
  });
});

test('lists under a telling key are hidden item by item', () => {
  assert.deepEqual(redacted({ mesh: { keys: ['k1', 'k2'], label: 'x' } }, []), {
    mesh: { keys: ['(hidden)', '(hidden)'], label: 'x' },
  });
});

test('a site that happens to be called key is shown, without its secrets', () => {
  assert.deepEqual(redacted({ sites: { key: { routes: { '/*': 'h:1' }, password: 'p' } } }, []), {
    sites: { key: { routes: { '/*': 'h:1' }, password: '(hidden)' } },
  });
});

test('values that were read from files are hidden wherever they ended up', () => {
  assert.deepEqual(
    redacted({ a: 'prefix hunter2 suffix', b: ['hunter2'], c: 'other', hunter2: 1 }, [
      'hunter2',
      '',
    ]),
    { a: '(hidden)', b: ['(hidden)'], c: 'other', '(hidden)': 1 },
  );
});

test('a very short secret hides only itself, or the rest could not be read', () => {
  assert.deepEqual(redacted({ x: 'a', y: 'banana' }, ['a']), { x: '(hidden)', y: 'banana' });
});
