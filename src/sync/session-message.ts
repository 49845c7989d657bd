/**
 * Messages of session records. All numbers in network byte order; a value is what remains.
 *
 *     put   u32 id │ u32 version │ u32 life left, ms │ u8 flags (1: dropped) │ u8 key bytes │ key │ value
 *     done  (u32 id │ u8 result: 0 kept, 1 superseded) …
 *     get   u32 id │ key
 *     got   u32 id │ u8 flags (1: known, 2: dropped) │ u32 version │ u32 life left, ms
 *           │ 8 hash of the owner's name │ value
 *     taken u32 version │ 8 hash of the new owner's name │ key
 */
import { readU32, writeU32 } from '../proto/ticket-bytes.ts';
import type { KeptSession, Precedence } from './session-store.ts';

export const SESSION_KEY_BYTES_MAX = 64;
export const SESSION_VALUE_BYTES_MAX = 1_024;
const PUT_HEAD_BYTES = 14;
const GOT_HEAD_BYTES = 21;
const DROPPED_PUT = 1;
const KNOWN = 1;
const DROPPED_GOT = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** UTF-8 bytes of a key, or `undefined` when it is empty or too long. */
export function keyBytes(key: string): Uint8Array | undefined {
  const bytes = encoder.encode(key);
  return bytes.length === 0 || bytes.length > SESSION_KEY_BYTES_MAX ? undefined : bytes;
}

export interface PutMessage {
  readonly id: number;
  readonly version: number;
  readonly ttlMs: number;
  readonly dropped: boolean;
  readonly key: string;
  readonly value: Uint8Array;
}

export function writePut(message: PutMessage): Uint8Array {
  const key = encoder.encode(message.key);
  const bytes = new Uint8Array(PUT_HEAD_BYTES + key.length + message.value.length);
  writeU32(bytes, 0, message.id);
  writeU32(bytes, 4, message.version);
  writeU32(bytes, 8, message.ttlMs);
  bytes[12] = message.dropped ? DROPPED_PUT : 0;
  bytes[13] = key.length;
  bytes.set(key, PUT_HEAD_BYTES);
  bytes.set(message.value, PUT_HEAD_BYTES + key.length);
  return bytes;
}

export function readPut(bytes: Uint8Array): PutMessage | undefined {
  const length = bytes[13];
  if (length === undefined) return undefined;
  const valueAt = PUT_HEAD_BYTES + length;
  if (bytes.length < valueAt || bytes.length > valueAt + SESSION_VALUE_BYTES_MAX) return undefined;
  const key = textOf(bytes.subarray(PUT_HEAD_BYTES, valueAt));
  if (key === undefined) return undefined;
  return {
    id: readU32(bytes, 0),
    version: readU32(bytes, 4),
    ttlMs: readU32(bytes, 8),
    dropped: (bytes[12]! & DROPPED_PUT) !== 0,
    key,
    value: copyFrom(bytes, valueAt),
  };
}

export type PutOutcome = 'kept' | 'superseded';

export function writeDone(id: number, outcome: PutOutcome): Uint8Array {
  const bytes = new Uint8Array(5);
  writeU32(bytes, 0, id);
  bytes[4] = outcome === 'kept' ? 0 : 1;
  return bytes;
}

export function readDone(bytes: Uint8Array): { id: number; outcome: PutOutcome } | undefined {
  if (bytes.length < 5 || bytes[4]! > 1) return undefined;
  return { id: readU32(bytes, 0), outcome: bytes[4] === 0 ? 'kept' : 'superseded' };
}

export function writeGet(id: number, key: string): Uint8Array {
  const text = encoder.encode(key);
  const bytes = new Uint8Array(4 + text.length);
  writeU32(bytes, 0, id);
  bytes.set(text, 4);
  return bytes;
}

export function readGet(bytes: Uint8Array): { id: number; key: string } | undefined {
  if (bytes.length < 5) return undefined;
  const key = textOf(bytes.subarray(4));
  return key === undefined ? undefined : { id: readU32(bytes, 0), key };
}

export interface GotMessage {
  readonly id: number;
  readonly known: boolean;
  readonly dropped: boolean;
  readonly version: number;
  readonly ttlMs: number;
  /** `NodeHash` of the owner's name. */
  readonly low: number;
  readonly high: number;
  readonly value: Uint8Array;
}

export function writeGot(message: GotMessage): Uint8Array {
  const bytes = new Uint8Array(GOT_HEAD_BYTES + message.value.length);
  writeU32(bytes, 0, message.id);
  bytes[4] = (message.known ? KNOWN : 0) | (message.dropped ? DROPPED_GOT : 0);
  writeU32(bytes, 5, message.version);
  writeU32(bytes, 9, message.ttlMs);
  writeU32(bytes, 13, message.low);
  writeU32(bytes, 17, message.high);
  bytes.set(message.value, GOT_HEAD_BYTES);
  return bytes;
}

export function readGot(bytes: Uint8Array): GotMessage | undefined {
  if (bytes.length < GOT_HEAD_BYTES) return undefined;
  if (bytes.length > GOT_HEAD_BYTES + SESSION_VALUE_BYTES_MAX) return undefined;
  return {
    id: readU32(bytes, 0),
    known: (bytes[4]! & KNOWN) !== 0,
    dropped: (bytes[4]! & DROPPED_GOT) !== 0,
    version: readU32(bytes, 5),
    ttlMs: readU32(bytes, 9),
    low: readU32(bytes, 13) | 0,
    high: readU32(bytes, 17) | 0,
    value: copyFrom(bytes, GOT_HEAD_BYTES),
  };
}

const NOTHING = new Uint8Array(0);

/** What a home answers; `record` is what it has. */
export function answer(id: number, nowMs: number, record: KeptSession | undefined): GotMessage {
  if (record === undefined) {
    const none = { version: 0, ttlMs: 0, low: 0, high: 0, value: NOTHING };
    return { id, known: false, dropped: false, ...none };
  }
  const { version, dropped, value, owner } = record;
  const ttlMs = Math.max(0, Math.round(record.expiresAtMs - nowMs));
  return { id, known: true, dropped, version, ttlMs, low: owner.low, high: owner.high, value };
}

/** What decides whether a message tells something newer. */
export function precedence({ version, low, high }: GotMessage | TakenMessage): Precedence {
  return { version, owner: { low, high } };
}

export interface TakenMessage {
  readonly version: number;
  /** `NodeHash` of the new owner's name. */
  readonly low: number;
  readonly high: number;
  readonly key: string;
}

const TAKEN_HEAD_BYTES = 12;

export function writeTaken({ version, low, high, key }: TakenMessage): Uint8Array {
  const text = encoder.encode(key);
  const bytes = new Uint8Array(TAKEN_HEAD_BYTES + text.length);
  writeU32(bytes, 0, version);
  writeU32(bytes, 4, low);
  writeU32(bytes, 8, high);
  bytes.set(text, TAKEN_HEAD_BYTES);
  return bytes;
}

export function readTaken(bytes: Uint8Array): TakenMessage | undefined {
  const key = textOf(bytes.subarray(TAKEN_HEAD_BYTES));
  if (key === undefined) return undefined;
  const [low, high] = [readU32(bytes, 4) | 0, readU32(bytes, 8) | 0];
  return { version: readU32(bytes, 0), low, high, key };
}

/** A copy also of a Buffer, whose `slice` is a view of memory that is somebody else's soon. */
function copyFrom(bytes: Uint8Array, at: number): Uint8Array {
  return new Uint8Array(bytes.subarray(at));
}

function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length > SESSION_KEY_BYTES_MAX) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
