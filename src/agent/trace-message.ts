/** "What would you do with the next packet of this flow?", asked of every node. */
import { z } from 'zod';
import { type FlowKey, KEY_BYTES, KEY_WORDS, readKey, writeKey } from '../proto/ticket-key.ts';
import { FRAME_BYTES_MAX } from '../sync/core.ts';

const text = z.string().max(64);

/** A node's answer. Asked seldom and by people, so it is JSON; unknown keys are skipped. */
export const nodeTrace = z.object({
  /** `here`, `there`, `ask`, `unknown`, `lost`; see `FlowTrace` of the datapath. */
  who: text,
  how: text,
  /** Name of the node that the packet would be sent to; `null` when it stays. */
  to: text.nullable(),
  bucket: z.int(),
  /** TCP state of what the kernel has for the flow; `null` for nothing. */
  socket: text.nullable(),
  /** The owner that this node's ticket names. */
  owner: text.nullable(),
  ownerBoot: z.number().nullable(),
  source: text.nullable(),
  homes: z.array(text).max(8),
  /** Whether this node has a ticket of its own for the flow. */
  own: z.boolean(),
  halfOpen: z.boolean(),
  missingMs: z.number().nullable(),
  boot: z.number(),
});
export type NodeTrace = z.output<typeof nodeTrace>;

const ASK_BYTES = 4 + KEY_BYTES;

export function encodeTraceAsk(id: number, key: FlowKey): Uint8Array {
  const bytes = new Uint8Array(ASK_BYTES);
  new DataView(bytes.buffer).setUint32(0, id, true);
  writeKey(key, bytes, 4);
  return bytes;
}

/** `undefined` for what is no question. Trailing bytes are ignored. */
export function decodeTraceAsk(bytes: Uint8Array): { id: number; key: FlowKey } | undefined {
  if (bytes.length < ASK_BYTES) return undefined;
  const key = new Uint32Array(KEY_WORDS);
  readKey(bytes, 4, key);
  return { id: idOf(bytes), key };
}

export function encodeTraceAnswer(id: number, trace: NodeTrace): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(trace));
  if (json.length + 4 > FRAME_BYTES_MAX) throw new RangeError('a trace does not fit a frame');
  const bytes = new Uint8Array(4 + json.length);
  new DataView(bytes.buffer).setUint32(0, id, true);
  bytes.set(json, 4);
  return bytes;
}

/** `undefined` for what is no answer. */
export function decodeTraceAnswer(bytes: Uint8Array): { id: number; trace: NodeTrace } | undefined {
  if (bytes.length < 5) return undefined;
  try {
    const parsed = nodeTrace.safeParse(JSON.parse(new TextDecoder().decode(bytes.subarray(4))));
    return parsed.success ? { id: idOf(bytes), trace: parsed.data } : undefined;
  } catch {
    return undefined;
  }
}

function idOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
