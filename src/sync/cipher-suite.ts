/**
 * The cryptography that the mesh needs, as an interface: the real one is src/sync/node-cipher.ts,
 * the simulator has a cheap one with the same shape.
 */
export interface Sealer {
  /**
   * Encrypts `content`, authenticates it with `head`. Never use a counter twice.
   * @returns head, ciphertext and tag as one new array.
   */
  seal(head: Uint8Array, content: Uint8Array, counter: number): Uint8Array;
}

export interface Opener {
  /** @returns the content, or `undefined` when it was not sealed by the other side like this. */
  open(sealed: Uint8Array, headBytes: number, counter: number): Uint8Array | undefined;
}

export interface Ephemeral {
  readonly publicKey: Uint8Array;
  /** Diffie–Hellman. @returns `undefined` for a public key that must not be used. */
  agree(otherPublicKey: Uint8Array): Uint8Array | undefined;
}

/** A node's own long-lived signing key. */
export interface Identity {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export interface CipherSuite {
  ephemeral(): Ephemeral;
  /** HKDF (RFC 5869). */
  derive(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, bytes: number): Uint8Array;
  hash(parts: readonly Uint8Array[]): Uint8Array;
  sealer(key: Uint8Array): Sealer;
  opener(key: Uint8Array): Opener;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  randomU32(): number;
  /** Fit for keys. */
  randomBytes(bytes: number): Uint8Array;
}
