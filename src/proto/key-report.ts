/**
 * Which cluster keys a node has, for operators; never a key itself.
 *
 * ```proto
 * message KeyReport {
 *   fixed32 ask = 1;           // of the question that this answers
 *   fixed32 used = 2;          // id of the key in use
 *   repeated fixed32 id = 3;   // ids of all keys
 *   uint32 ticket_epoch = 4;   // number of the TLS ticket key in use
 *   uint32 storage = 5;        // see {@link KeyStorage}, by index
 * }
 * ```
 * The question is the number `ask` alone, in network byte order.
 */
import protobuf from 'protobufjs/minimal.js';

/**
 * `configured`: the keys are those of its configuration. `stored`: in its file. `storing`: soon.
 * `failed`: they could not be written. `nowhere`: it has no file. The last two start with old keys
 * the next time.
 */
export const KEY_STORAGES = ['configured', 'stored', 'storing', 'failed', 'nowhere'] as const;
export type KeyStorage = (typeof KEY_STORAGES)[number];

export interface KeyReport {
  readonly ask: number;
  readonly used: number;
  readonly ids: readonly number[];
  readonly ticketEpoch: number;
  readonly storage: KeyStorage;
}

const IDS_MAX = 64;

export function encodeKeyReport(report: KeyReport): Uint8Array {
  const writer = new protobuf.Writer();
  writer.uint32(13).fixed32(report.ask).uint32(21).fixed32(report.used);
  for (const id of report.ids) writer.uint32(29).fixed32(id);
  writer.uint32(32).uint32(report.ticketEpoch);
  writer.uint32(40).uint32(KEY_STORAGES.indexOf(report.storage));
  return writer.finish();
}

/** @returns `undefined` when malformed or outside its bounds. */
export function decodeKeyReport(bytes: Uint8Array): KeyReport | undefined {
  let ask = 0;
  let used = 0;
  const ids: number[] = [];
  let ticketEpoch = 0;
  let storage = 0;
  try {
    const reader = new protobuf.Reader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 13) ask = reader.fixed32();
      else if (tag === 21) used = reader.fixed32();
      else if (tag === 29) ids.push(reader.fixed32());
      else if (tag === 32) ticketEpoch = reader.uint32();
      else if (tag === 40) storage = reader.uint32();
      else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  const name = KEY_STORAGES[storage];
  if (name === undefined || ids.length > IDS_MAX) return undefined;
  return { ask, used, ids, ticketEpoch, storage: name };
}
