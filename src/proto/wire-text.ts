/**
 * Short texts from the wire. Nearly all of them are names and addresses that came before, so they
 * are looked up by their bytes: the same string comes back, made and hashed once.
 */

const SLOTS = 4_096;
const KEPT_BYTES_MAX = 64;

/** A cache without a way out: a slot holds the last text that fell into it. */
const kept: string[] = new Array<string>(SLOTS).fill('');
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads UTF-8; what is none becomes U+FFFD. */
export function readText(bytes: Uint8Array, from: number, end: number): string {
  const length = end - from;
  if (length === 0) return '';
  if (length > KEPT_BYTES_MAX) return decoder.decode(bytes.subarray(from, end));
  let hash = 0x811c9dc5;
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const before = kept[slot]!;
  if (isText(before, bytes, from, length)) return before;
  const text = decoder.decode(bytes.subarray(from, end));
  // Only texts of ASCII can be compared byte by byte.
  if (text.length === length) kept[slot] = text;
  return text;
}

function isText(text: string, bytes: Uint8Array, from: number, length: number): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false;
  return true;
}
