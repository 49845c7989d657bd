/**
 * As much of RFC 6455 as a silent client needs: its opening, one short text message each way. Ten
 * thousand connections in one process leave no room for a full implementation per connection.
 */

/** Longest payload with a one-byte length (RFC 6455, section 5.2). */
export const SHORT_PAYLOAD_MAX = 125;

const TEXT = 0x1;
const FINAL = 0x80;
const MASKED = 0x80;

/** The sample key of RFC 6455, section 1.3: nothing is hidden by a key here. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

export function openingRequest(host: string, path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
}

/**
 * @returns What follows the head, or `undefined` while the head is incomplete.
 * @throws Error when the server does not switch protocols.
 */
export function parseOpening(bytes: Buffer): Buffer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) {
    if (bytes.length > 16_384) throw new Error('the answer has no end');
    return undefined;
  }
  const head = bytes.subarray(0, end).toString('latin1');
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(head.split('\r\n', 1)[0]);
  if (!head.includes(ACCEPT)) throw new Error('the answer accepts another key');
  return bytes.subarray(end + 4);
}

/**
 * ```
 * | FIN, opcode 1 | MASK, length | masking key (4) | masked text |
 * ```
 * @throws Error above {@link SHORT_PAYLOAD_MAX} bytes.
 */
export function textFrame(text: string, mask: number): Buffer {
  const payload = Buffer.from(text);
  if (payload.length > SHORT_PAYLOAD_MAX) throw new Error('the message is too long');
  const frame = Buffer.alloc(6 + payload.length);
  frame[0] = FINAL | TEXT;
  frame[1] = MASKED | payload.length;
  frame.writeUInt32BE(mask >>> 0, 2);
  for (const [index, byte] of payload.entries()) {
    frame[6 + index] = byte ^ frame[2 + (index & 3)]!;
  }
  return frame;
}

/**
 * The text of a server's short text frame; `undefined` while it is incomplete.
 * @throws Error for anything else: no other frame is due.
 */
export function parseTextFrame(bytes: Buffer): string | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  if (first !== (FINAL | TEXT) || second > SHORT_PAYLOAD_MAX) {
    throw new Error(`unexpected frame ${bytes.subarray(0, 4).toString('hex')}`);
  }
  if (bytes.length < 2 + second) return undefined;
  if (bytes.length > 2 + second) throw new Error('more than one frame');
  return bytes.toString('utf8', 2);
}
