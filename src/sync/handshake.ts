import type { Claim } from '../proto/claim.ts';
import {
  ENVELOPE_HEAD_BYTES,
  envelopeCounter,
  HELLO_BYTES,
  KIND_ANSWER,
  KIND_HELLO,
  PUBLIC_KEY_BYTES,
  TAG_BYTES,
  writeEnvelopeHead,
} from '../proto/envelope.ts';
import { decodeIntroduction, encodeIntroduction } from '../proto/introduction.ts';
import type { CipherSuite, Ephemeral, Identity, Opener, Sealer } from './cipher-suite.ts';
import type { ClusterKey } from './keyring.ts';

const HEAD_BYTES = ENVELOPE_HEAD_BYTES + PUBLIC_KEY_BYTES;
const NONE = new Uint8Array(0);
const text = new TextEncoder();
const HELLO = text.encode('hello');
const ANSWER = text.encode('answer');
const DATA = text.encode('data');
const SIGNED = text.encode('holdfast identity 1');

/** What both sides of a key exchange need to know about themselves. */
export interface HandshakeParty {
  readonly suite: CipherSuite;
  readonly labelHash: number;
  /** This node's claim about itself, as of now. */
  claim(): Claim;
  readonly identity: Identity | undefined;
  /**
   * The identity that a node must prove, `undefined` when any holder of the cluster key may use
   * that name. A node with no row in a list that exists is refused: answer an empty array.
   */
  identityOf(id: string): Uint8Array | undefined;
}

/** A call that waits for its answer. */
export interface Call {
  readonly session: number;
  readonly key: ClusterKey;
  readonly ephemeral: Ephemeral;
  readonly hello: Uint8Array;
}

/** Keys and partner of a finished key exchange. */
export interface Agreement {
  readonly remote: Claim;
  readonly remoteSession: number;
  readonly sealer: Sealer;
  readonly opener: Opener;
}

export type HandshakeFault = 'wrongKey' | 'malformed' | 'wrongIdentity' | 'self';

/** The first message. Sealed under the cluster key and a fresh ephemeral key. */
export function makeCall(party: HandshakeParty, key: ClusterKey, session: number): Call {
  const { suite } = party;
  const ephemeral = suite.ephemeral();
  const head = new Uint8Array(HEAD_BYTES);
  writeEnvelopeHead(head, KIND_HELLO, party.labelHash, key.id, session);
  head.set(ephemeral.publicKey, ENVELOPE_HEAD_BYTES);
  const content = introduce(party, head, NONE, HELLO_BYTES - HEAD_BYTES - TAG_BYTES);
  const sealed = suite.sealer(suite.derive(key.base, head, HELLO, 32)).seal(head, content, 0);
  return { session, key, ephemeral, hello: sealed };
}

/** Opens a hello, without any lasting effect. */
export function readHello(
  party: HandshakeParty,
  key: ClusterKey,
  hello: Uint8Array,
): { readonly remote: Claim; readonly remoteSession: number } | HandshakeFault {
  if (hello.length !== HELLO_BYTES) return 'malformed';
  const { suite } = party;
  const head = hello.subarray(0, HEAD_BYTES);
  const opener = suite.opener(suite.derive(key.base, head, HELLO, 32));
  const content = opener.open(hello, HEAD_BYTES, 0);
  if (content === undefined) return 'wrongKey';
  const remote = readIntroduction(party, content, head, NONE);
  return typeof remote === 'string' ? remote : { remote, remoteSession: envelopeCounter(hello) };
}

/** The second message, and the answerer's keys. */
export function makeAnswer(
  party: HandshakeParty,
  key: ClusterKey,
  hello: Uint8Array,
  remote: Claim,
  session: number,
): { readonly answer: Uint8Array; readonly agreement: Agreement } | HandshakeFault {
  const { suite } = party;
  const ephemeral = suite.ephemeral();
  const shared = ephemeral.agree(hello.subarray(ENVELOPE_HEAD_BYTES, HEAD_BYTES));
  if (shared === undefined) return 'malformed';
  const remoteSession = envelopeCounter(hello);
  const head = new Uint8Array(HEAD_BYTES);
  writeEnvelopeHead(head, KIND_ANSWER, party.labelHash, remoteSession, session);
  head.set(ephemeral.publicKey, ENVELOPE_HEAD_BYTES);
  const secret = join(key.base, shared);
  const called = suite.hash([hello]);
  const sealer = suite.sealer(suite.derive(secret, called, join(ANSWER, head), 32));
  const answer = sealer.seal(head, introduce(party, head, called, 0), 0);
  const keys = suite.derive(secret, suite.hash([called, answer]), DATA, 64);
  return {
    answer,
    agreement: {
      remote,
      remoteSession,
      sealer: suite.sealer(keys.subarray(32)),
      opener: suite.opener(keys.subarray(0, 32)),
    },
  };
}

/** The caller's keys, from the answer to its call. */
export function readAnswer(
  party: HandshakeParty,
  call: Call,
  answer: Uint8Array,
): Agreement | HandshakeFault {
  if (answer.length < HEAD_BYTES + TAG_BYTES || answer.length > HELLO_BYTES) return 'malformed';
  const { suite } = party;
  const shared = call.ephemeral.agree(answer.subarray(ENVELOPE_HEAD_BYTES, HEAD_BYTES));
  if (shared === undefined) return 'malformed';
  const head = answer.subarray(0, HEAD_BYTES);
  const secret = join(call.key.base, shared);
  const called = suite.hash([call.hello]);
  const opener = suite.opener(suite.derive(secret, called, join(ANSWER, head), 32));
  const content = opener.open(answer, HEAD_BYTES, 0);
  if (content === undefined) return 'wrongKey';
  const remote = readIntroduction(party, content, head, called);
  if (typeof remote === 'string') return remote;
  const keys = suite.derive(secret, suite.hash([called, answer]), DATA, 64);
  return {
    remote,
    remoteSession: envelopeCounter(answer),
    sealer: suite.sealer(keys.subarray(0, 32)),
    opener: suite.opener(keys.subarray(32)),
  };
}

function introduce(
  party: HandshakeParty,
  head: Uint8Array,
  called: Uint8Array,
  bytesWanted: number,
): Uint8Array {
  const { identity, suite } = party;
  const claim = party.claim();
  const introduction =
    identity === undefined
      ? { claim, identity: NONE, signature: NONE }
      : {
          claim,
          identity: identity.publicKey,
          signature: identity.sign(signedPart(suite, head, called, claim)),
        };
  return encodeIntroduction(introduction, bytesWanted);
}

function readIntroduction(
  party: HandshakeParty,
  content: Uint8Array,
  head: Uint8Array,
  called: Uint8Array,
): Claim | HandshakeFault {
  const introduction = decodeIntroduction(content);
  if (introduction === undefined) return 'malformed';
  const { claim, identity, signature } = introduction;
  const own = party.claim();
  if (claim.id === own.id && claim.run === own.run) return 'self';
  const wanted = party.identityOf(claim.id);
  if (wanted === undefined) return claim;
  if (!sameBytes(wanted, identity)) return 'wrongIdentity';
  const message = signedPart(party.suite, head, called, claim);
  return party.suite.verify(identity, message, signature) ? claim : 'wrongIdentity';
}

/** Binds the identity to this exchange, this direction, this name and this life. */
function signedPart(
  suite: CipherSuite,
  head: Uint8Array,
  called: Uint8Array,
  claim: Claim,
): Uint8Array {
  return suite.hash([
    SIGNED,
    head,
    called,
    text.encode(`${claim.id}\n${claim.run}\n${claim.boot}`),
  ]);
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length || a.length === 0) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i += 1) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}
