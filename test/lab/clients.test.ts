import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnectionTally } from '../../bench/lab/clients/connection-plan.ts';
import {
  curlArgv,
  curlComplaint,
  curlEnd,
  curlPercent,
  transferRate,
} from '../../bench/lab/clients/curl.ts';
import { EchoCheck } from '../../bench/lab/clients/echo-check.ts';
import { type ClientEvent, parseEvent } from '../../bench/lab/clients/event.ts';
import { SseParser } from '../../bench/lab/clients/sse-parser.ts';
import { messageCount } from '../../bench/lab/clients/stream-plan.ts';
import { Turnstile } from '../../bench/lab/clients/turnstile.ts';
import { uploadedSha256 } from '../../bench/lab/clients/upload.ts';
import { message, messageNumber } from '../../bench/lab/origin/payload.ts';
import { seededBytes } from '../../bench/lab/random-bytes.ts';

test('what a client process writes is read back as it was', () => {
  const events: ClientEvent[] = [
    { type: 'start', session: 'sse-1', atMs: 1.5 },
    { type: 'progress', session: 'sse-1', atMs: 2, done: 3, total: 4 },
    { type: 'echoes', session: 'websocket-1', atMs: [1, 2], rttMs: [0.1, 0.2] },
    { type: 'end', session: 'sse-1', atMs: 9, how: 'reset', detail: 'read ECONNRESET' },
  ];
  for (const event of events) assert.deepEqual(parseEvent(JSON.stringify(event)), event);
});

test('a line that is no event is ignored, whatever it holds', () => {
  const wrong = [
    'not json',
    '{"type":"start"}',
    '{"type":"start","session":"a","atMs":"1"}',
    '{"type":"echoes","session":"a","atMs":[1],"rttMs":[]}',
    '{"type":"end","session":"a","atMs":1,"how":"fine","detail":""}',
    '{"type":"other","session":"a","atMs":1}',
  ];
  for (const line of wrong) assert.equal(parseEvent(line), undefined, line);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      parseEvent(line);
    }),
  );
});

test('a message is known by its stream, its number and every one of its characters', () => {
  const text = message('websocket-1.7', 12, 64);
  assert.equal(text.length, 64);
  assert.equal(messageNumber('websocket-1.7', text, 64), 12);
  assert.equal(messageNumber('websocket-2.7', text, 64), undefined);
  assert.equal(messageNumber('websocket-1.7', text.slice(0, -1), 64), undefined);
  const altered = `${text.slice(0, 40)}!${text.slice(41)}`;
  assert.equal(messageNumber('websocket-1.7', altered, 64), undefined);
  assert.notEqual(message('a', 1, 64), message('a', 2, 64));
});

test('no text is taken for a message that it is not', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(messageNumber('websocket-1.7', text, 64), undefined);
    }),
  );
});

test('echoes must come back once each, in order, unchanged', () => {
  const fresh = () => {
    const check = new EchoCheck('s', 32);
    assert.ok(check.accept(message('s', 0, 32)).ok);
    assert.ok(check.accept(message('s', 1, 32)).ok);
    return check;
  };
  const complaint = (text: string) => {
    const verdict = fresh().accept(text);
    return verdict.ok ? 'none' : verdict.complaint;
  };
  assert.equal(complaint(message('s', 1, 32)), 'message 1 came again');
  assert.equal(complaint(message('s', 3, 32)), 'message 3 came when 2 was due');
  assert.equal(complaint(message('t', 2, 32)), 'message 2 is altered');
  assert.equal(fresh().next, 2);
});

test('server-sent events are the same however the stream is cut', () => {
  const text =
    'id: 0\ndata: a\n\n: comment\nid: 1\r\ndata: b\r\ndata: c\r\n\r\nevent: x\n\nid:2\ndata:d\n\n';
  const expected = [
    { id: '0', data: 'a' },
    { id: '1', data: 'b\nc' },
    { id: '2', data: 'd' },
  ];
  assert.deepEqual(new SseParser().push(text), expected);
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), (places) => {
      const cuts = [0, ...places.sort((a, b) => a - b), text.length];
      const parser = new SseParser();
      const events = cuts.slice(1).flatMap((to, index) => parser.push(text.slice(cuts[index], to)));
      assert.deepEqual(events, expected);
    }),
  );
});

test('no bytes make the event parser throw, and an endless line is not kept', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (texts) => {
      const parser = new SseParser(100);
      for (const text of texts) parser.push(text);
    }),
  );
  const cut = new SseParser(100);
  cut.push(`data: ${'x'.repeat(1_000)}`);
  assert.equal(cut.push('\n\n')[0]?.data.length, 94);
  const parser = new SseParser(100);
  for (let i = 0; i < 1_000; i += 1) assert.deepEqual(parser.push('x'.repeat(100)), []);
  assert.deepEqual(parser.push('\n\ndata: after\n\n'), [{ id: '', data: 'after' }]);
});

test('a transfer survives only when curl is content and the hash is right', () => {
  const hashes = { expected: 'aa', got: 'aa' };
  assert.equal(curlEnd(0, '', hashes).how, 'complete');
  assert.equal(curlEnd(0, '', { expected: 'aa', got: 'bb' }).how, 'corrupt');
  assert.equal(curlEnd(0, '', { expected: 'aa', got: '' }).how, 'corrupt');
  assert.equal(curlEnd(null, '', hashes).how, 'reset');
  assert.equal(curlEnd(28, 'curl: (28) too slow', hashes).how, 'stalled');
  const reset = curlEnd(56, '\rnoise\ncurl: (56) Recv failure: Connection reset by peer\n', hashes);
  assert.deepEqual(reset, {
    how: 'reset',
    detail: 'curl: (56) Recv failure: Connection reset by peer',
  });
});

test('curl’s progress meter is read from its newest complete line', () => {
  const meter =
    '  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n' +
    '                                 Dload  Upload   Total   Spent    Left  Speed\n' +
    '\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0' +
    '\r 41 4096k    0     0   41 1696k      0   482k  0:00:08  0:00:03  0:00:05  481k';
  assert.equal(curlPercent(meter), 41);
  assert.equal(curlPercent(`${meter}\r 4`), 41);
  assert.equal(curlPercent(''), undefined);
  assert.equal(curlComplaint(meter), '');
});

test('no text makes the readers of curl and of the origin throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const percent = curlPercent(text);
      assert.ok(percent === undefined || (percent >= 0 && percent <= 100));
      curlComplaint(text);
      assert.equal(typeof uploadedSha256(text), 'string');
    }),
  );
});

test('curl reads no user’s configuration and gives up on a stall after whole seconds', () => {
  const argv = curlArgv({ url: 'http://192.0.2.10/', stallMs: 2_500, extra: ['--silent'] });
  assert.equal(argv[1], '-q');
  assert.equal(argv[argv.indexOf('--speed-time') + 1], '3');
  assert.equal(argv.at(-1), 'http://192.0.2.10/');
});

test('rates and counts fill the time of a session', () => {
  // A second is left over, so that the transfer ends before its session’s time does.
  assert.equal(transferRate(9_000_000, 10_000), 1_000_000);
  assert.equal(transferRate(100, 10_000), 1_024);
  assert.equal(messageCount(9_500, 20), 475);
});

test('contents depend on the seed and the name, and on nothing else', () => {
  assert.deepEqual(seededBytes(1, 'a', 64), seededBytes(1, 'a', 64));
  assert.notDeepEqual(seededBytes(1, 'a', 64), seededBytes(2, 'a', 64));
  assert.notDeepEqual(seededBytes(1, 'a', 64), seededBytes(1, 'b', 64));
});

test('a client that connects again and again survives only without a single failure', () => {
  const tally = new ConnectionTally();
  tally.succeed();
  assert.deepEqual(tally.end, { how: 'complete', detail: '1 connections' });
  tally.fail('read ECONNRESET');
  tally.fail('HTTP 502');
  assert.deepEqual(tally.end, {
    how: 'reset',
    detail: '2 of 3 connections failed, first connection 2: read ECONNRESET',
  });
});

test('a turnstile lets as many through as it may, the others in the order of their coming', async () => {
  const turnstile = new Turnstile(2);
  const inside: number[] = [];
  const entering = [1, 2, 3, 4].map((name) => turnstile.enter().then(() => inside.push(name)));
  await Promise.all(entering.slice(0, 2));
  assert.deepEqual(inside, [1, 2]);
  turnstile.leave();
  await entering[2];
  turnstile.leave();
  await entering[3];
  assert.deepEqual(inside, [1, 2, 3, 4]);
  turnstile.leave();
  turnstile.leave();
  await turnstile.enter();
});
