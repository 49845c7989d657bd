import { CLUSTER_KEY_BYTES } from './keyring.ts';

/** A cluster key as people write it: base64 of 32 bytes. */
export function clusterKeyText(secret: Uint8Array): string {
  return btoa(String.fromCharCode(...secret));
}

/**
 * Reads a cluster key: 44 characters of base64, or 64 of hexadecimal.
 * @throws RangeError that says how to make one, and never repeats the text: it is a secret.
 */
export function parseClusterKey(text: string): Uint8Array {
  const trimmed = text.trim();
  let secret: Uint8Array | undefined;
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) {
    secret = Uint8Array.from(trimmed.match(/../g)!, (pair) => Number.parseInt(pair, 16));
  } else if (/^[A-Za-z0-9+/]{43}=$/.test(trimmed)) {
    secret = Uint8Array.from(atob(trimmed), (character) => character.charCodeAt(0));
  }
  if (secret?.length !== CLUSTER_KEY_BYTES) {
    throw new RangeError(
      'A cluster key is 44 characters of base64 (32 bytes): holdfast keys generate',
    );
  }
  return secret;
}

/** How a key's id is shown: eight hexadecimal digits. */
export function keyIdText(id: number): string {
  return id.toString(16).padStart(8, '0');
}

/** @returns `undefined` for anything but eight hexadecimal digits. */
export function parseKeyId(text: string): number | undefined {
  return /^[0-9a-f]{8}$/i.test(text) ? Number.parseInt(text, 16) : undefined;
}
