/** Cluster keys as users write them: 32 bytes, hexadecimal or base64. A core without IO. */
import { AddressError } from './address.ts';

/** Of one cluster key. */
export const CLUSTER_KEY_LENGTH = 32;

/**
 * Checks a key and gives its one spelling, base64url. It stays a text, so that what prints a
 * configuration can hide it. Throws {@link AddressError}, whose text never shows the key.
 */
export function parseClusterKey(text: string): string {
  return Buffer.from(clusterKeyBytes(text)).toString('base64url');
}

/** The key itself. Throws {@link AddressError}. */
export function clusterKeyBytes(text: string): Uint8Array {
  const trimmed = text.trim();
  const bytes = /^[0-9A-Fa-f]{64}$/.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)
      ? Buffer.from(trimmed, 'base64')
      : undefined;
  if (bytes?.length === CLUSTER_KEY_LENGTH) return new Uint8Array(bytes);
  throw new AddressError(
    `is not a key of ${CLUSTER_KEY_LENGTH} bytes in base64 or hexadecimal: make one with "holdfast keys generate"`,
  );
}
