import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { refusalOf } from '../../src/admin/host-guard.ts';

const get = (host: string | undefined, bound = '127.0.0.1') =>
  refusalOf({ method: 'GET', host, origin: undefined }, bound);

test('names of this machine are welcome on a loopback address', () => {
  for (const host of ['127.0.0.1:2019', 'localhost:2019', 'LOCALHOST', '[::1]:2019', '127.9.9.9']) {
    assert.equal(get(host), undefined, host);
  }
  assert.equal(get('[::1]:2019', '::1'), undefined);
});

test('any other name on a loopback address was pointed at this machine by somebody', () => {
  for (const host of [
    'evil.example:2019',
    'localhost.evil.example',
    '192.0.2.1',
    '',
    '127.0.0.1.evil.example',
    undefined,
    'a b',
    '127.0.0.1:x',
  ]) {
    assert.notEqual(get(host), undefined, String(host));
  }
});

test('on another address the Host is not looked at', () => {
  assert.equal(get('admin.example:2019', '192.0.2.1'), undefined);
  assert.equal(get(undefined, ''), undefined);
});

test('a web page can neither reload nor post anything', () => {
  const post = { method: 'POST', host: '127.0.0.1:2019', origin: 'http://127.0.0.1:2019' };
  assert.match(refusalOf(post, '127.0.0.1') ?? '', /web pages/);
  assert.match(refusalOf({ ...post, origin: 'null' }, '192.0.2.1') ?? '', /web pages/);
  assert.equal(refusalOf({ ...post, origin: undefined }, '127.0.0.1'), undefined);
});

test('no Host makes it throw, and none that is accepted names anything but this machine', () => {
  const piece = fc.constantFrom(
    '127.0.0.1',
    'localhost',
    '[',
    ']',
    ':',
    '::1',
    '2019',
    '.',
    'x',
    '@',
    '%',
    ' ',
  );
  const host = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(host, (each) => {
      if (get(each) === undefined)
        assert.match(each, /^(127\.[\d.]+|localhost|\[[\da-f:.]+\])(:\d+)?$/i);
    }),
    { numRuns: 5_000 },
  );
});
