/**
 * "Who owns this flow?" and its answer. All numbers in network byte order.
 *
 *     ask      (u32 id │ u8 key bytes: 12 or 36 │ key) …
 *     answers  (u32 id │ u8 status │ 8 hash of the owner's name │ u32 owner's boot) …     17 bytes each
 */
import { readU32, writeU32 } from './ticket-bytes.ts';
import {
  type FlowKey,
  KEY_BYTES,
  KEY_WORDS,
  packedKeyBytes,
  readPackedKey,
  SHORT_KEY_BYTES,
  writePackedKey,
} from './ticket-key.ts';

const ASK_HEAD_BYTES = 5;
/** Room that one question needs at most. */
export const ASK_BYTES_MAX = ASK_HEAD_BYTES + KEY_BYTES;
export const ANSWER_BYTES = 17;

/** @returns where the next question starts. */
export function writeAsk(bytes: Uint8Array, at: number, id: number, key: FlowKey): number {
  const size = packedKeyBytes(key);
  writeU32(bytes, at, id);
  bytes[at + 4] = size;
  writePackedKey(key, size, bytes, at + ASK_HEAD_BYTES);
  return at + ASK_HEAD_BYTES + size;
}

const key = new Uint32Array(KEY_WORDS);

/**
 * Reads every question.
 * @returns false, with nothing read, when the bytes are no list of questions.
 */
export function readAsks(bytes: Uint8Array, each: (id: number, key: FlowKey) => void): boolean {
  let end = 0;
  while (end < bytes.length) {
    const size = bytes[end + 4];
    if (size !== SHORT_KEY_BYTES && size !== KEY_BYTES) return false;
    end += ASK_HEAD_BYTES + size;
  }
  if (end !== bytes.length) return false;
  for (let at = 0; at < end; at += ASK_HEAD_BYTES + bytes[at + 4]!) {
    readPackedKey(bytes, at + ASK_HEAD_BYTES, bytes[at + 4]!, key);
    each(readU32(bytes, at), key);
  }
  return true;
}

export interface Answer {
  readonly id: number;
  /** False: the answering node knows no owner. */
  readonly known: boolean;
  /** `NodeHash` of the owner's name. */
  readonly low: number;
  readonly high: number;
  readonly boot: number;
}

/** @returns where the next answer starts. */
export function writeAnswer(bytes: Uint8Array, at: number, answer: Answer): number {
  writeU32(bytes, at, answer.id);
  bytes[at + 4] = answer.known ? 1 : 0;
  writeU32(bytes, at + 5, answer.low);
  writeU32(bytes, at + 9, answer.high);
  writeU32(bytes, at + 13, answer.boot);
  return at + ANSWER_BYTES;
}

/** `undefined` when the bytes are no list of answers. */
export function readAnswers(bytes: Uint8Array): Answer[] | undefined {
  if (bytes.length % ANSWER_BYTES !== 0) return undefined;
  const answers: Answer[] = [];
  for (let at = 0; at < bytes.length; at += ANSWER_BYTES) {
    answers.push({
      id: readU32(bytes, at),
      known: bytes[at + 4] === 1,
      low: readU32(bytes, at + 5) | 0,
      high: readU32(bytes, at + 9) | 0,
      boot: readU32(bytes, at + 13),
    });
  }
  return answers;
}
