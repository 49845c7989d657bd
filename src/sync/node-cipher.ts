import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomInt,
  sign,
  verify,
} from 'node:crypto';
import { TAG_BYTES } from '../proto/envelope.ts';
import type { CipherSuite, Ephemeral, Identity, Opener, Sealer } from './cipher-suite.ts';

const CIPHER = 'aes-256-gcm';
/** DER in front of the 32 raw bytes of a public key (RFC 8410). */
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function writeNonce(nonce: Buffer, counter: number): void {
  nonce.writeUInt32BE(Math.floor(counter / 4_294_967_296), 4);
  nonce.writeUInt32BE(counter >>> 0, 8);
}

class GcmSealer implements Sealer {
  readonly #key: KeyObject;
  readonly #nonce = Buffer.alloc(12);

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  seal(head: Uint8Array, content: Uint8Array, counter: number): Uint8Array {
    writeNonce(this.#nonce, counter);
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce);
    cipher.setAAD(head);
    const sealed = Buffer.allocUnsafe(head.length + content.length + TAG_BYTES);
    sealed.set(head);
    sealed.set(cipher.update(content), head.length);
    cipher.final();
    sealed.set(cipher.getAuthTag(), head.length + content.length);
    return sealed;
  }
}

class GcmOpener implements Opener {
  readonly #key: KeyObject;
  readonly #nonce = Buffer.alloc(12);

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  open(sealed: Uint8Array, headBytes: number, counter: number): Uint8Array | undefined {
    if (sealed.length < headBytes + TAG_BYTES) return undefined;
    writeNonce(this.#nonce, counter);
    const decipher = createDecipheriv(CIPHER, this.#key, this.#nonce, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(sealed.subarray(0, headBytes));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const content = decipher.update(sealed.subarray(headBytes, sealed.length - TAG_BYTES));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return content;
  }
}

function x25519Ephemeral(): Ephemeral {
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(X25519_SPKI.length);
  return {
    publicKey: raw,
    agree(otherPublicKey) {
      try {
        const other = createPublicKey({
          key: Buffer.concat([X25519_SPKI, otherPublicKey]),
          format: 'der',
          type: 'spki',
        });
        // OpenSSL refuses points of small order: the result would be all zero (RFC 7748, 6.1).
        return diffieHellman({ privateKey, publicKey: other });
      } catch {
        return undefined;
      }
    },
  };
}

/** AES-256-GCM, X25519, HKDF-SHA-256, Ed25519, as Node's OpenSSL has them. */
export const nodeCipher: CipherSuite = {
  ephemeral: x25519Ephemeral,
  derive: (secret, salt, info, bytes) =>
    new Uint8Array(hkdfSync('sha256', secret, salt, info, bytes)),
  hash(parts) {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest();
  },
  sealer: (key) => new GcmSealer(key),
  opener: (key) => new GcmOpener(key),
  verify(publicKey, message, signature) {
    try {
      const key = createPublicKey({
        key: Buffer.concat([ED25519_SPKI, publicKey]),
        format: 'der',
        type: 'spki',
      });
      return verify(null, message, key, signature);
    } catch {
      return false;
    }
  },
  randomU32: () => randomInt(1, 2 ** 32),
  randomBytes: (bytes) => new Uint8Array(randomBytes(bytes)),
};

/**
 * A node's identity from its 32-byte Ed25519 seed.
 * @param seed Secret; keep it in a file only the node can read.
 */
export function identityFromSeed(seed: Uint8Array): Identity {
  const key = createPrivateKey({
    key: Buffer.concat([ED25519_PKCS8, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(key)
    .export({ type: 'spki', format: 'der' })
    .subarray(ED25519_SPKI.length);
  return { publicKey, sign: (message) => sign(null, message, key) };
}
