import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HINT_BYTES, HINTS_MAX, readHints, writeHint } from '../../src/agent/owner-hint.ts';
import {
  decodeTraceAnswer,
  decodeTraceAsk,
  encodeTraceAnswer,
  encodeTraceAsk,
  type NodeTrace,
} from '../../src/agent/trace-message.ts';
import { flowKey } from '../../src/datapath/address-bytes.ts';
import { FRAME_BYTES_MAX } from '../../src/sync/core.ts';

const KEY = flowKey({ address: '203.0.113.7', port: 51_000 }, { address: '192.0.2.10', port: 443 });
const TRACE: NodeTrace = {
  who: 'there',
  how: 'ticket',
  to: 'pop-a',
  bucket: 7,
  socket: null,
  owner: 'pop-a',
  ownerBoot: 4_000_000_000,
  source: 'directory',
  homes: ['pop-a', 'pop-b', 'pop-c'],
  own: false,
  halfOpen: false,
  missingMs: null,
  boot: 1,
};

describe('owner hints', () => {
  test('the bytes of a hint are what they always were', () => {
    const bytes = new Uint8Array(HINT_BYTES);
    assert.equal(writeHint(bytes, 0, KEY, { low: -1, high: 2, boot: 0xdead_beef }), HINT_BYTES);
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '00000000000000000000ffffcb007107' +
        '00000000000000000000ffffc000020a' +
        'c73801bb' +
        'ffffffff02000000efbeadde',
    );
  });

  test('a full frame comes back as it was written', () => {
    const bytes = new Uint8Array(FRAME_BYTES_MAX);
    let end = 0;
    for (let i = 0; i < HINTS_MAX; i++) {
      end = writeHint(bytes, end, KEY, { low: i, high: -i, boot: i + 1 });
    }
    const boots: number[] = [];
    assert.equal(
      readHints(bytes.subarray(0, end), (key, { boot }) => {
        assert.deepEqual(key, KEY);
        boots.push(boot);
      }),
      true,
    );
    assert.equal(boots.length, HINTS_MAX);
  });

  test('bytes of any kind are read as whole hints or refused, never thrown on', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        let count = 0;
        const ok = readHints(bytes, () => count++);
        assert.equal(ok, count > 0);
        if (ok) assert.equal(count * HINT_BYTES, bytes.length);
      }),
    );
  });
});

describe('traces over the mesh', () => {
  test('question and answer come back as they were written', () => {
    assert.deepEqual(decodeTraceAsk(encodeTraceAsk(9, KEY)), { id: 9, key: KEY });
    assert.deepEqual(decodeTraceAnswer(encodeTraceAnswer(9, TRACE)), { id: 9, trace: TRACE });
  });

  test('an answer with all names as long as they can be fits a frame', () => {
    const name = 'n'.repeat(64);
    const longest = { ...TRACE, to: name, owner: name, homes: [name, name, name] };
    assert.ok(encodeTraceAnswer(2 ** 32 - 1, longest).length <= FRAME_BYTES_MAX);
  });

  test('keys that a later version adds are skipped', () => {
    const later = { ...TRACE, weather: 'fine' };
    assert.deepEqual(decodeTraceAnswer(encodeTraceAnswer(1, later))?.trace, TRACE);
  });

  test('bytes of any kind are no reason to throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeTraceAsk(bytes);
        decodeTraceAnswer(bytes);
      }),
    );
    const json = fc.json().map((text) => new TextEncoder().encode(`abcd${text}`));
    fc.assert(
      fc.property(json, (bytes) => {
        decodeTraceAnswer(bytes);
      }),
    );
  });
});
