/** Bytes that look random and are the same for the same seed. */
import { createCipheriv, createHash } from 'node:crypto';

/** @returns `length` bytes of the AES-256-CTR key stream under a key made from seed and label. */
export function seededBytes(seed: number, label: string, length: number): Buffer {
  const key = createHash('sha256').update(`${seed}:${label}`).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}
