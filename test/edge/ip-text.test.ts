import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressOfBytes, canonicalAddress, mappedBytes } from '../../src/edge/ip-text.ts';

test('spells each address one way', () => {
  const pairs: [text: string, canonical: string | undefined][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['::', '::'],
    ['010.0.0.1', undefined],
    ['1.2', undefined],
    ['0x7f.0.0.1', undefined],
    ['2130706433', undefined],
    ['256.0.0.1', undefined],
    ['fe80::1%eth0', undefined],
    ['::ffff:010.0.0.1', undefined],
    ['1::2::3', undefined],
    ['[::1]', undefined],
    ['192.0.2.1 ', undefined],
    ['unknown', undefined],
    ['', undefined],
    [':'.repeat(10_000), undefined],
  ];
  for (const [text, canonical] of pairs) assert.equal(canonicalAddress(text), canonical, text);
});

test('accepts exactly what the platform calls an address, but for zone ids', () => {
  const unit = fc.constantFrom('0', '1', '2', '5', 'f', ':', '::', '.', 'ffff');
  const text = fc.oneof(fc.string({ unit, maxLength: 18 }), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(text, (candidate) => {
      assert.equal(canonicalAddress(candidate) !== undefined, isIP(candidate) !== 0, candidate);
    }),
    { numRuns: 10_000 },
  );
});

test('bytes and text say the same', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const canonical = canonicalAddress(text);
      assert.equal(addressOfBytes(Uint8Array.from(mappedBytes(text)!)), canonical);
      assert.equal(canonicalAddress(canonical!), canonical);
    }),
  );
  assert.equal(addressOfBytes(Uint8Array.of(192, 0, 2, 1)), '192.0.2.1');
  assert.equal(mappedBytes('nobody'), undefined);
});
