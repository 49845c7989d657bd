/**
 * The WebSocket messages of the benchmark (RFC 6455, 5.2): one binary frame of 64 bytes each way.
 *
 *   client  82 c0 00000000 | number (4) connection (4) filler (56)    70 bytes, mask key 0
 *   origin  82 40          | the same payload                         66 bytes
 *
 * The mask key 0 is valid and saves the ends, which are not measured, the work of masking.
 * A core without IO.
 */
export const MESSAGE_BYTES = 64;
export const CLIENT_FRAME_BYTES = 6 + MESSAGE_BYTES;
export const ORIGIN_FRAME_BYTES = 2 + MESSAGE_BYTES;

export function clientFrame(connection: number): Buffer {
  const frame = Buffer.alloc(CLIENT_FRAME_BYTES, 0x2e);
  frame[0] = 0x82;
  frame[1] = 0x80 | MESSAGE_BYTES;
  frame.fill(0, 2, 6);
  frame.writeUInt32BE(0, 6);
  frame.writeUInt32BE(connection, 10);
  return frame;
}

/** Puts the next number into a client's frame. */
export function numberFrame(frame: Buffer, number: number): void {
  frame.writeUInt32BE(number >>> 0, 6);
}

/** True when `answer` is the echo of a client's frame, byte by byte. */
export function isEcho(answer: Buffer, frame: Buffer): boolean {
  return (
    answer.length === ORIGIN_FRAME_BYTES &&
    answer[0] === 0x82 &&
    answer[1] === MESSAGE_BYTES &&
    answer.compare(frame, 6, CLIENT_FRAME_BYTES, 2, ORIGIN_FRAME_BYTES) === 0
  );
}

/**
 * Answers the whole frames among `bytes`; what is left of a partial one comes back as `rest`.
 * `undefined` when the bytes are no such frames: a proxy has changed them, or wants to close.
 */
export function echoFrames(bytes: Buffer): { answer: Buffer; rest: Buffer } | undefined {
  const count = Math.floor(bytes.length / CLIENT_FRAME_BYTES);
  const answer = Buffer.allocUnsafe(count * ORIGIN_FRAME_BYTES);
  for (let i = 0; i < count; i += 1) {
    const from = i * CLIENT_FRAME_BYTES;
    const to = i * ORIGIN_FRAME_BYTES;
    if (bytes[from] !== 0x82 || bytes[from + 1] !== (0x80 | MESSAGE_BYTES)) return undefined;
    if (bytes.readUInt32BE(from + 2) !== 0) return undefined;
    answer[to] = 0x82;
    answer[to + 1] = MESSAGE_BYTES;
    bytes.copy(answer, to + 2, from + 6, from + CLIENT_FRAME_BYTES);
  }
  return { answer, rest: bytes.subarray(count * CLIENT_FRAME_BYTES) };
}
