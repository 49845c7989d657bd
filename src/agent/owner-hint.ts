/**
 * What a home tells an entry whose packet it passed on: who owns the flow, so that the entry can
 * send to the owner itself.
 *
 *     0          36            40            44         48
 *     ┌──────────┬─────────────┬─────────────┬──────────┐
 *     │ flow key │ owner's name, 64 bit hash │ its boot │   × 1 to 22, little-endian
 *     └──────────┴─────────────┴─────────────┴──────────┘
 */
import { type FlowKey, KEY_BYTES, KEY_WORDS, readKey, writeKey } from '../proto/ticket-key.ts';
import { FRAME_BYTES_MAX } from '../sync/core.ts';

export const HINT_BYTES = KEY_BYTES + 12;
/** Of one frame. */
export const HINTS_MAX = Math.floor(FRAME_BYTES_MAX / HINT_BYTES);

export interface OwnerName {
  readonly low: number;
  readonly high: number;
  readonly boot: number;
}

/** Writes one hint at `at`. @returns where the next begins. */
export function writeHint(bytes: Uint8Array, at: number, key: FlowKey, owner: OwnerName): number {
  writeKey(key, bytes, at);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setInt32(at + KEY_BYTES, owner.low, true);
  view.setInt32(at + KEY_BYTES + 4, owner.high, true);
  view.setUint32(at + KEY_BYTES + 8, owner.boot, true);
  return at + HINT_BYTES;
}

/**
 * Reads every hint; the key is valid only during the call.
 * @returns false when the length cannot be right; then nothing was read.
 */
export function readHints(
  bytes: Uint8Array,
  take: (key: FlowKey, owner: OwnerName) => void,
): boolean {
  if (bytes.length === 0 || bytes.length % HINT_BYTES !== 0) return false;
  if (bytes.length > HINTS_MAX * HINT_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const key = new Uint32Array(KEY_WORDS);
  for (let at = 0; at < bytes.length; at += HINT_BYTES) {
    readKey(bytes, at, key);
    take(key, {
      low: view.getInt32(at + KEY_BYTES, true),
      high: view.getInt32(at + KEY_BYTES + 4, true),
      boot: view.getUint32(at + KEY_BYTES + 8, true),
    });
  }
  return true;
}
