/**
 * The keys that seal TLS session tickets (RFC 5077; PSKs of RFC 8446, 4.6.1), given to TLS servers.
 *
 *     16 name │ 16 HMAC-SHA-256 key │ 16 AES-128-CBC key       one key, as `tls.Server.setTicketKeys` takes it
 *
 * `setTicketKeys` holds one key, so a rotation would end every ticket of before. Node's TLS contexts
 * can also ask for the key of each ticket by its name, which is no public interface: it is used with
 * the Node versions that it was tried with, and everywhere else the first key alone counts.
 */
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:tls';

export const TICKET_KEY_BYTES = 48;
/** More are not remembered: the oldest, at the end of the list, are dropped. */
export const TICKET_KEYS_MAX = 8;
const NAME_BYTES = 16;
const IV_BYTES = 16;
const AES_AT = 32;

/** Major versions of Node whose contexts are known to ask as described here. */
const ASKING_NODES: ReadonlySet<string> = new Set(['24', '25', '26']);

const UNKNOWN = 0;
const KNOWN = 1;
/** The ticket is good, and the client shall get one under the newest key. */
const KNOWN_BUT_OLD = 2;

interface TicketKey {
  readonly name: Buffer;
  readonly hmac: Buffer;
  readonly aes: Buffer;
}

/** What the context wants to know: how it went, and the key; for sealing also its name and an IV. */
type KeyAnswer = readonly [number, Buffer, Buffer, Buffer?, Buffer?];

/** The part of a `SecureContext` that Node does not document. */
interface AskingContext {
  onticketkeycallback?: (name: Buffer, iv: Buffer, isSealing: boolean) => KeyAnswer;
  enableTicketKeyCallback?: () => void;
}

/** One list for all listeners of an edge. */
export class TicketKeys {
  #first!: Buffer<ArrayBuffer>;
  #keys: readonly TicketKey[] = [];

  /** @throws as {@link set}. */
  constructor(keys: readonly Uint8Array[]) {
    this.set(keys);
  }

  /** Seals new tickets; for `ticketKeys` of a server that is made. */
  get first(): Buffer<ArrayBuffer> {
    return this.#first;
  }

  /**
   * @param keys The first seals; tickets under any of them are accepted. Copied.
   * @throws RangeError when there is none, or one has not {@link TICKET_KEY_BYTES} bytes.
   */
  set(keys: readonly Uint8Array[]): void {
    if (keys.length === 0 || keys.some(({ length }) => length !== TICKET_KEY_BYTES)) {
      throw new RangeError(
        `TLS ticket keys have ${TICKET_KEY_BYTES} bytes each, and one is needed`,
      );
    }
    const copies = keys.slice(0, TICKET_KEYS_MAX).map((key) => Buffer.from(key));
    this.#first = copies[0]!;
    this.#keys = copies.map((key) => ({
      name: key.subarray(0, NAME_BYTES),
      hmac: key.subarray(NAME_BYTES, AES_AT),
      aes: key.subarray(AES_AT),
    }));
  }

  /** Makes a server use these keys. Again after each {@link set} and each new context of the server. */
  giveTo(server: Server): void {
    server.setTicketKeys(this.#first);
    const context = (server as { _sharedCreds?: { context?: AskingContext } })._sharedCreds
      ?.context;
    const [major = ''] = process.versions.node.split('.');
    if (!ASKING_NODES.has(major) || typeof context?.enableTicketKeyCallback !== 'function') return;
    context.onticketkeycallback = (name, _iv, isSealing) => this.#answer(name, isSealing);
    context.enableTicketKeyCallback();
  }

  /** Both keys are always named, also for an unknown ticket: the context reads them unseen. */
  #answer(name: Buffer, isSealing: boolean): KeyAnswer {
    const newest = this.#keys[0]!;
    if (isSealing) return [KNOWN, newest.hmac, newest.aes, newest.name, randomBytes(IV_BYTES)];
    const key = this.#keys.find((each) => each.name.equals(name));
    if (key === undefined) return [UNKNOWN, newest.hmac, newest.aes];
    return [key === newest ? KNOWN : KNOWN_BUT_OLD, key.hmac, key.aes];
  }
}
