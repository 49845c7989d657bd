import { PUBLIC_KEY_BYTES, readU32, TAG_BYTES, writeU32 } from '../../proto/envelope.ts';
import type { CipherSuite, Opener, Sealer } from '../cipher-suite.ts';
import { DATAGRAM_BYTES_MAX } from '../core.ts';
import type { Random } from '../random.ts';

/** As many as fit are cut from one piece: an array of its own costs more than all done with it. */
const PIECE_BYTES = 65_536;
let piece = new ArrayBuffer(0);
let pieceUsed = 0;

/** Not zeroed, to be written in full; its piece stays in memory as long as any part of it is held. */
function freshBytes(length: number): Uint8Array {
  if (length > piece.byteLength - pieceUsed) {
    piece = new ArrayBuffer(Math.max(PIECE_BYTES, length));
    pieceUsed = 0;
  }
  const fresh = new Uint8Array(piece, pieceUsed, length);
  pieceUsed += length;
  return fresh;
}

/**
 * Cryptography that protects nothing but fails where the real one would: another key, another
 * counter, other length. It lets the simulator run the true key exchange thousands of times a
 * second, and takes all its randomness from the seed.
 */
export function shamCipher(random: Random, extension: Uint8Array = new Uint8Array(0)): CipherSuite {
  return {
    ephemeral() {
      const publicKey = new Uint8Array(PUBLIC_KEY_BYTES);
      writeU32(publicKey, 0, random.u32());
      writeU32(publicKey, 4, random.u32());
      return {
        publicKey,
        agree(other) {
          const shared = new Uint8Array(PUBLIC_KEY_BYTES);
          for (let i = 0; i < shared.length; i += 1) shared[i] = publicKey[i]! ^ other[i]!;
          return shared;
        },
      };
    },
    derive(secret, salt, info, bytes) {
      const derived = new Uint8Array(bytes);
      let state = digest(info, digest(salt, digest(secret, 0x811c9dc5)));
      for (let at = 0; at + 4 <= bytes; at += 4) {
        state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + at) >>> 0;
        writeU32(derived, at, state);
      }
      return derived;
    },
    hash(parts) {
      const hash = new Uint8Array(32);
      let state = 0x811c9dc5;
      for (const part of parts) state = digest(part, state);
      writeU32(hash, 0, state);
      writeU32(hash, 4, Math.imul(state, 0x9e3779b1) >>> 0);
      return hash;
    },
    sealer: (key) => shamSealer(key, extension),
    opener: shamOpener,
    verify: () => true,
    randomU32: () => random.u32() || 1,
    randomBytes(bytes) {
      const drawn = new Uint8Array(bytes);
      for (let at = 0; at < bytes; at += 1) drawn[at] = random.u32();
      return drawn;
    },
  };
}

function shamSealer(key: Uint8Array, extension: Uint8Array): Sealer {
  const keyWord = readU32(key, 0);
  return {
    seal(head, content, counter) {
      const bare = head.length + content.length + TAG_BYTES;
      // A node of a later version adds fields of its own, as far as there is room.
      const isExtended = bare + extension.length <= DATAGRAM_BYTES_MAX && counter > 0;
      const length = isExtended ? bare + extension.length : bare;
      const sealed = freshBytes(length);
      sealed.set(head);
      sealed.set(content, head.length);
      if (isExtended) sealed.set(extension, head.length + content.length);
      const tagAt = length - TAG_BYTES;
      writeU32(sealed, tagAt, keyWord);
      writeU32(sealed, tagAt + 4, counter >>> 0);
      writeU32(sealed, tagAt + 8, length);
      writeU32(sealed, tagAt + 12, 0);
      return sealed;
    },
  };
}

function shamOpener(key: Uint8Array): Opener {
  const keyWord = readU32(key, 0);
  return {
    open(sealed, headBytes, counter) {
      const tagAt = sealed.length - TAG_BYTES;
      if (tagAt < headBytes || readU32(sealed, tagAt) !== keyWord) return undefined;
      if (readU32(sealed, tagAt + 4) !== counter >>> 0) return undefined;
      if (readU32(sealed, tagAt + 8) !== sealed.length) return undefined;
      return new Uint8Array(sealed.buffer, sealed.byteOffset + headBytes, tagAt - headBytes);
    },
  };
}

function digest(bytes: Uint8Array, start: number): number {
  let state = start;
  // Every other part of what is hashed here repeats; the first bytes tell exchanges apart.
  const length = Math.min(bytes.length, 96);
  for (let i = 0; i < length; i += 1) state = Math.imul(state ^ bytes[i]!, 0x01000193);
  return (state ^ (state >>> 13)) >>> 0;
}
