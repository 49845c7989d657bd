/**
 * Everything a node knows about keys: the cluster's own and those of TLS session tickets. One frame;
 * nodes merge it, so it may come from anybody, in any order, any number of times.
 *
 * ```proto
 * message KeyState {
 *   repeated bytes secret = 1;     // cluster keys, 32 bytes each
 *   fixed32 used = 2;              // id of the one in use, 0 for no opinion
 *   uint32 use_version = 3;        // rises with each change of `used`
 *   repeated fixed32 retired = 4;  // ids that must never come back
 *   repeated Epoch epoch = 5;
 * }
 * message Epoch {
 *   uint32 number = 1;
 *   bytes secret = 2;      // 48 bytes: what tls.Server.setTicketKeys takes
 *   uint32 age_ms = 3;     // since it was made
 *   uint32 pending_ms = 4; // until it comes into use, 0 when it is
 * }
 * ```
 * Times are differences, so that no two clocks need to agree.
 */
import protobuf from 'protobufjs/minimal.js';

export const TICKET_SECRET_BYTES = 48;
const SECRET_BYTES = 32;
const SECRETS_MAX = 8;
const RETIRED_MAX = 32;
const EPOCHS_MAX = 4;

export interface EpochRecord {
  readonly number: number;
  readonly secret: Uint8Array;
  readonly ageMs: number;
  readonly pendingMs: number;
}

export interface KeyState {
  readonly secrets: readonly Uint8Array[];
  readonly used: number;
  readonly useVersion: number;
  readonly retired: readonly number[];
  readonly epochs: readonly EpochRecord[];
}

export function encodeKeyState(state: KeyState): Uint8Array {
  const writer = new protobuf.Writer();
  for (const secret of state.secrets) writer.uint32(10).bytes(secret);
  writer.uint32(21).fixed32(state.used).uint32(24).uint32(state.useVersion);
  for (const id of state.retired) writer.uint32(37).fixed32(id);
  for (const epoch of state.epochs) {
    writer.uint32(42).fork().uint32(8).uint32(epoch.number).uint32(18).bytes(epoch.secret);
    writer.uint32(24).uint32(epoch.ageMs).uint32(32).uint32(epoch.pendingMs).ldelim();
  }
  return writer.finish();
}

/** @returns `undefined` when malformed or outside its bounds. */
export function decodeKeyState(bytes: Uint8Array): KeyState | undefined {
  const secrets: Uint8Array[] = [];
  let used = 0;
  let useVersion = 0;
  const retired: number[] = [];
  const epochs: EpochRecord[] = [];
  try {
    const reader = new protobuf.Reader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 10) secrets.push(reader.bytes());
      else if (tag === 21) used = reader.fixed32();
      else if (tag === 24) useVersion = reader.uint32();
      else if (tag === 37) retired.push(reader.fixed32());
      else if (tag === 42) {
        const epoch = decodeEpoch(reader.bytes());
        if (epoch === undefined) return undefined;
        epochs.push(epoch);
      } else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  if (secrets.some((secret) => secret.length !== SECRET_BYTES)) return undefined;
  if (secrets.length > SECRETS_MAX || retired.length > RETIRED_MAX) return undefined;
  if (epochs.length > EPOCHS_MAX) return undefined;
  return { secrets, used, useVersion, retired, epochs };
}

function decodeEpoch(bytes: Uint8Array): EpochRecord | undefined {
  let number = 0;
  let secret: Uint8Array = new Uint8Array(0);
  let ageMs = 0;
  let pendingMs = 0;
  const reader = new protobuf.Reader(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) number = reader.uint32();
    else if (tag === 18) secret = reader.bytes();
    else if (tag === 24) ageMs = reader.uint32();
    else if (tag === 32) pendingMs = reader.uint32();
    else reader.skipType(tag & 7);
  }
  if (number === 0 || secret.length !== TICKET_SECRET_BYTES) return undefined;
  return { number, secret, ageMs, pendingMs };
}
