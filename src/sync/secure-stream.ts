import protobuf from 'protobufjs/minimal.js';
import type { Claim } from '../proto/claim.ts';
import {
  ENVELOPE_BYTES,
  ENVELOPE_HEAD_BYTES,
  envelopeCounter,
  envelopeFault,
  envelopeKind,
  envelopeSession,
  HELLO_BYTES,
  KIND_ANSWER,
  KIND_DATA,
  KIND_HELLO,
  readU32,
  writeEnvelopeHead,
  writeU32,
} from '../proto/envelope.ts';
import { readPacket } from '../proto/packet.ts';
import { STREAM_BYTES_MAX } from './core.ts';
import {
  type Agreement,
  type Call,
  type HandshakeParty,
  makeAnswer,
  makeCall,
  readAnswer,
  readHello,
} from './handshake.ts';
import type { Keyring } from './keyring.ts';

const LENGTH_BYTES = 4;
/** Before the key exchange nobody may make us keep more than its messages need. */
const RECORD_BYTES_MAX = STREAM_BYTES_MAX + ENVELOPE_BYTES + 16;

/** Why a stream must be closed. */
export type StreamFault =
  | 'truncated'
  | 'oversized'
  | 'unknownVersion'
  | 'foreignLabel'
  | 'wrongKey'
  | 'wrongIdentity'
  | 'malformed'
  | 'self'
  | 'forged'
  | 'unknownKind';

export interface SecureStreamOutbox {
  write(bytes: Uint8Array): void;
  /** The other side is proven. Called once, before any message. */
  up(remote: Claim): void;
  /** `body` is valid only during the call. */
  message(channel: number, body: Uint8Array): void;
}

/**
 * The key exchange and records of one TCP connection, without the connection: the same `hello`,
 * `answer` and `data` as datagrams, each behind its length (u32). Counters follow each other without
 * a gap, so nothing can be left out, repeated or reordered.
 */
export class SecureStream {
  readonly #party: HandshakeParty;
  readonly #keyring: Keyring;
  readonly #call: Call | undefined;
  #agreement: Agreement | undefined;
  #keyId = 0;
  #isUp = false;
  #sent = 0;
  #received = 0;
  #pending: Uint8Array = new Uint8Array(0);

  constructor(party: HandshakeParty, keyring: Keyring, calls: boolean) {
    this.#party = party;
    this.#keyring = keyring;
    if (calls) this.#call = makeCall(party, keyring.used, 1);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get remote(): Claim | undefined {
    return this.#isUp ? this.#agreement?.remote : undefined;
  }

  /** The cluster key that its keys come from; 0 before the exchange. */
  get keyId(): number {
    return this.#keyId;
  }

  /** The caller's first bytes. */
  open(out: SecureStreamOutbox): void {
    if (this.#call !== undefined) out.write(record(this.#call.hello));
  }

  /** Call only when up. */
  send(channel: number, body: Uint8Array, out: SecureStreamOutbox): void {
    const { sealer, remoteSession } = this.#agreement!;
    const content = new protobuf.Writer()
      .uint32((channel << 3) | 2)
      .bytes(body)
      .finish();
    const head = new Uint8Array(ENVELOPE_HEAD_BYTES);
    writeEnvelopeHead(head, KIND_DATA, this.#party.labelHash, remoteSession, this.#sent);
    out.write(record(sealer.seal(head, content, this.#sent)));
    this.#sent += 1;
  }

  /** Any piece of what arrived. @returns why the connection must be closed, if it must. */
  receive(bytes: Uint8Array, out: SecureStreamOutbox): StreamFault | undefined {
    this.#pending = this.#pending.length === 0 ? bytes : join(this.#pending, bytes);
    for (;;) {
      if (this.#pending.length < LENGTH_BYTES) break;
      const length = readU32(this.#pending, 0);
      if (length > (this.#agreement === undefined ? HELLO_BYTES : RECORD_BYTES_MAX)) {
        return 'oversized';
      }
      if (this.#pending.length < LENGTH_BYTES + length) break;
      const one = this.#pending.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
      this.#pending = this.#pending.subarray(LENGTH_BYTES + length);
      const fault = this.#record(one, out);
      if (fault !== undefined) return fault;
    }
    // Not a view into a larger piece that would stay in memory with it.
    if (this.#pending.length > 0 && this.#pending.length < bytes.length) {
      this.#pending = new Uint8Array(this.#pending);
    }
    return undefined;
  }

  #record(bytes: Uint8Array, out: SecureStreamOutbox): StreamFault | undefined {
    const fault = envelopeFault(bytes, this.#party.labelHash, RECORD_BYTES_MAX);
    if (fault !== undefined) return fault;
    const kind = envelopeKind(bytes);
    if (kind === KIND_DATA) return this.#data(bytes, out);
    if (this.#agreement !== undefined) return 'unknownKind';
    if (kind === KIND_HELLO && this.#call === undefined) return this.#hello(bytes, out);
    if (kind === KIND_ANSWER && this.#call !== undefined) return this.#answer(bytes, out);
    return 'unknownKind';
  }

  #hello(bytes: Uint8Array, out: SecureStreamOutbox): StreamFault | undefined {
    const key = this.#keyring.get(envelopeSession(bytes));
    if (key === undefined) return 'wrongKey';
    const hello = readHello(this.#party, key, bytes);
    if (typeof hello === 'string') return hello;
    const answered = makeAnswer(this.#party, key, bytes, hello.remote, 1);
    if (typeof answered === 'string') return answered;
    this.#agreement = answered.agreement;
    this.#keyId = key.id;
    out.write(record(answered.answer));
    return undefined;
  }

  #answer(bytes: Uint8Array, out: SecureStreamOutbox): StreamFault | undefined {
    const call = this.#call!;
    const agreement = readAnswer(this.#party, call, bytes);
    if (typeof agreement === 'string') return agreement;
    this.#agreement = agreement;
    this.#keyId = call.key.id;
    this.#isUp = true;
    out.up(agreement.remote);
    return undefined;
  }

  #data(bytes: Uint8Array, out: SecureStreamOutbox): StreamFault | undefined {
    const agreement = this.#agreement;
    if (agreement === undefined) return 'unknownKind';
    if (envelopeCounter(bytes) !== this.#received) return 'forged';
    const content = agreement.opener.open(bytes, ENVELOPE_HEAD_BYTES, this.#received);
    if (content === undefined) return 'forged';
    this.#received += 1;
    if (!this.#isUp) {
      // Only now is it certain that the hello was no replay.
      this.#isUp = true;
      out.up(agreement.remote);
    }
    const fields = readPacket(content);
    if (fields === undefined) return 'malformed';
    for (const { field, body } of fields) out.message(field, body);
    return undefined;
  }
}

function record(bytes: Uint8Array): Uint8Array {
  const framed = new Uint8Array(LENGTH_BYTES + bytes.length);
  writeU32(framed, 0, bytes.length);
  framed.set(bytes, LENGTH_BYTES);
  return framed;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
