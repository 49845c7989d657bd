/**
 * What the streams of the lab carry, defined once for the side that sends and the side that
 * checks. Each message names its stream and its number and is filled up with text that depends on
 * both, so that a message of another stream, a lost, repeated, moved or altered one is seen.
 */

/** Hash of a text and a number into 32 bits (FNV-1a), the seed of the filler. */
function mix(text: string, number: number): number {
  let hash = 0x811c9dc5;
  for (const char of `${text}:${number}`) {
    hash ^= char.charCodeAt(0);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz012345';

/** `length` characters that depend on stream and number (xorshift32). */
export function filler(stream: string, number: number, length: number): string {
  let state = mix(stream, number) || 1;
  let text = '';
  while (text.length < length) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    text += ALPHABET[state & 31];
  }
  return text;
}

/** Message `number` of a stream, `bytes` long unless its own head is longer. */
export function message(stream: string, number: number, bytes: number): string {
  const head = `${stream} ${number} `;
  return head + filler(stream, number, Math.max(0, bytes - head.length));
}

/** The number in a message of this stream, or `undefined` when it is not one of its messages. */
export function messageNumber(stream: string, text: string, bytes: number): number | undefined {
  const [name, digits] = text.split(' ', 2);
  if (name !== stream || digits === undefined || !/^\d{1,9}$/.test(digits)) return undefined;
  const number = Number(digits);
  return text === message(stream, number, bytes) ? number : undefined;
}
