import { readU32 } from '../proto/envelope.ts';
import type { CipherSuite } from './cipher-suite.ts';

export const CLUSTER_KEY_BYTES = 32;
/** A rotation needs two; more only when rotations overlap. */
export const CLUSTER_KEYS_MAX = 8;

/** One cluster key: whoever holds it is a member. */
export interface ClusterKey {
  /** Names the key on the wire and for people; says nothing about it. */
  readonly id: number;
  readonly secret: Uint8Array;
  /** Derived for this cluster's label; what key exchanges start from. */
  readonly base: Uint8Array;
}

/** What a keyring change came to. */
export type KeyringAnswer = 'done' | 'already' | 'unknownKey' | 'inUse' | 'full' | 'malformed';

const text = new TextEncoder();

/** First 32 bits of a hash, never 0. */
export function clusterKeyId(suite: CipherSuite, secret: Uint8Array): number {
  return readU32(suite.hash([text.encode('holdfast key id'), secret]), 0) || 1;
}

/** First 32 bits of the hash of the cluster's label: keeps clusters apart before any key is tried. */
export function labelHash(suite: CipherSuite, label: string): number {
  return readU32(suite.hash([text.encode('holdfast label'), text.encode(label)]), 0);
}

/**
 * The cluster keys: every one is accepted, one is used for new key exchanges. To rotate without a
 * gap: add the new key on every node, use it on every node, retire the old one on every node.
 */
export class Keyring {
  readonly #suite: CipherSuite;
  readonly #salt: Uint8Array;
  readonly #keys = new Map<number, ClusterKey>();
  #used: ClusterKey;
  #generation = 0;

  /** @param secrets At least one, each {@link CLUSTER_KEY_BYTES} long; the first is used. */
  constructor(suite: CipherSuite, label: string, secrets: readonly Uint8Array[]) {
    this.#suite = suite;
    this.#salt = suite.hash([text.encode('holdfast mesh 1'), text.encode(label)]);
    for (const secret of secrets) this.add(secret);
    const first = this.#keys.values().next().value;
    if (first === undefined) {
      throw new RangeError(
        `A mesh needs a key of ${CLUSTER_KEY_BYTES} bytes: holdfast keys generate`,
      );
    }
    this.#used = first;
  }

  /** The key that new key exchanges use. */
  get used(): ClusterKey {
    return this.#used;
  }

  /** Rises with every change. */
  get generation(): number {
    return this.#generation;
  }

  get(id: number): ClusterKey | undefined {
    return this.#keys.get(id);
  }

  keys(): readonly ClusterKey[] {
    return [...this.#keys.values()];
  }

  /**
   * The key for the given attempt at a key exchange: mostly the used one; every third attempt
   * another, for a node that has not heard of a rotation yet.
   */
  forAttempt(attempt: number): ClusterKey {
    if (attempt % 3 !== 2 || this.#keys.size === 1) return this.#used;
    const others = [...this.#keys.values()].filter((key) => key !== this.#used);
    return others[Math.floor(attempt / 3) % others.length]!;
  }

  add(secret: Uint8Array): KeyringAnswer {
    if (secret.length !== CLUSTER_KEY_BYTES) return 'malformed';
    const id = clusterKeyId(this.#suite, secret);
    if (this.#keys.has(id)) return 'already';
    if (this.#keys.size >= CLUSTER_KEYS_MAX) return 'full';
    const base = this.#suite.derive(secret, this.#salt, text.encode('base'), 32);
    this.#keys.set(id, { id, secret: new Uint8Array(secret), base });
    this.#generation += 1;
    return 'done';
  }

  use(id: number): KeyringAnswer {
    const key = this.#keys.get(id);
    if (key === undefined) return 'unknownKey';
    if (key === this.#used) return 'already';
    this.#used = key;
    this.#generation += 1;
    return 'done';
  }

  /** The used key cannot be retired: use another first. */
  retire(id: number): KeyringAnswer {
    if (id === this.#used.id) return 'inUse';
    if (!this.#keys.delete(id)) return 'already';
    this.#generation += 1;
    return 'done';
  }
}
