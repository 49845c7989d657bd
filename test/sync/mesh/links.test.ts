/** Links without membership: what is sent arrives again soon, whatever crossed or was lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claim } from '../../../src/proto/claim.ts';
import {
  ENVELOPE_HEAD_BYTES,
  KIND_DATA,
  KIND_HELLO,
  TAG_BYTES,
} from '../../../src/proto/envelope.ts';
import { PacketWriter, readPacket } from '../../../src/proto/packet.ts';
import { DATAGRAM_BYTES_MAX } from '../../../src/sync/core.ts';
import type { HandshakeParty } from '../../../src/sync/handshake.ts';
import { Keyring, labelHash } from '../../../src/sync/keyring.ts';
import { type LinkOutbox, Links } from '../../../src/sync/links.ts';
import { nodeCipher } from '../../../src/sync/node-cipher.ts';

const SECRET = new Uint8Array(32).fill(1);
const LABEL = 'test';
const CHANNEL = 30;

interface Parcel {
  readonly from: End;
  readonly to: string;
  readonly bytes: Uint8Array;
}

/** One side: its address is its name, and everything it hears is written down. */
class End {
  readonly links: Links;
  readonly heard: string[] = [];
  readonly out: LinkOutbox;
  readonly claim: Claim;

  constructor(id: string, run: number, wire: Parcel[]) {
    this.claim = {
      id,
      incarnation: 1,
      run,
      status: 0,
      accuser: '',
      boot: 7,
      pop: 'p',
      address: `at-${id}`,
      configDigest: 1,
      version: '0',
      protocolMin: 1,
      protocolMax: 1,
      draining: false,
    };
    const party: HandshakeParty = {
      suite: nodeCipher,
      labelHash: labelHash(nodeCipher, LABEL),
      claim: () => this.claim,
      identity: undefined,
      identityOf: () => undefined,
    };
    this.links = new Links(party, new Keyring(nodeCipher, LABEL, [SECRET]));
    this.out = {
      datagram: (to, bytes) => wire.push({ from: this, to, bytes }),
      linked: () => {},
      opened: (_session, content) => {
        for (const { body } of readPacket(content)!) this.heard.push(String.fromCharCode(...body));
      },
    };
  }

  say(nowMs: number, to: Claim, text: string): void {
    const packet = new PacketWriter(DATAGRAM_BYTES_MAX, ENVELOPE_HEAD_BYTES, TAG_BYTES);
    packet.append(CHANNEL, new TextEncoder().encode(text));
    this.links.send(nowMs, to, packet, this.out);
  }

  receive(nowMs: number, { bytes, from }: Parcel): void {
    this.links.receive(nowMs, bytes, from.claim.address, this.out);
  }
}

/** Delivers all that is on the wire, and all that follows from it, but what `hold` keeps. */
function deliver(
  nowMs: number,
  wire: Parcel[],
  ends: readonly End[],
  hold: (parcel: Parcel) => boolean = () => false,
): void {
  for (let parcel = wire.shift(); parcel !== undefined; parcel = wire.shift()) {
    if (hold(parcel)) continue;
    ends.find(({ claim }) => claim.address === parcel.to)?.receive(nowMs, parcel);
  }
}

const isHello = ({ bytes }: Parcel): boolean => bytes[1] === KIND_HELLO;
const isData = ({ bytes }: Parcel): boolean => bytes[1] === KIND_DATA;

test('three key exchanges that crossed leave one direction dead for two seconds, not for ever', () => {
  const wire: Parcel[] = [];
  const a = new End('a', 1, wire);
  const b = new End('b', 2, wire);
  const both = [a, b];
  // First exchange, called by b: its first datagram is late.
  b.links.contact(0, 'at-a', b.out);
  const late: Parcel[] = [];
  deliver(0, wire, both, (parcel) => isData(parcel) && late.push(parcel) > 0);
  // Second and third, both called by a.
  for (const nowMs of [10, 1_100]) {
    a.links.contact(nowMs, 'at-b', a.out);
    deliver(nowMs, wire, both);
  }
  for (const parcel of late) a.receive(1_200, parcel);
  // To a the first exchange is the newest now; b has dropped it.
  a.say(1_300, b.claim, 'one');
  deliver(1_300, wire, both);
  assert.deepEqual(b.heard, []);
  assert.equal(b.links.counters.unknownSession, 1);
  assert.equal(b.links.counters.voidCalls, 0, 'it might have been on its way when b changed over');
  a.say(3_200, b.claim, 'two');
  deliver(3_200, wire, both);
  assert.equal(b.links.counters.voidCalls, 1);
  a.say(3_201, b.claim, 'three');
  b.say(3_201, a.claim, 'four');
  deliver(3_201, wire, both);
  assert.deepEqual([b.heard, a.heard], [['three'], ['four']]);
});

test('a session that gossip of another life made worthless is still read, and replaced', () => {
  const wire: Parcel[] = [];
  const a = new End('a', 1, wire);
  const b = new End('b', 2, wire);
  a.links.contact(0, 'at-b', a.out);
  deliver(0, wire, [a, b]);
  b.links.forgetOtherLives('at-a', 'a', 77);
  assert.equal(b.links.ready('at-a', 'a'), false);
  a.say(100, b.claim, 'one');
  deliver(100, wire, [a, b]);
  assert.deepEqual(b.heard, ['one']);
  b.say(100, a.claim, 'two');
  deliver(100, wire, [a, b]);
  assert.deepEqual(a.heard, ['two']);
  // The life before that one is the right one again.
  b.links.forgetOtherLives('at-a', 'a', 1);
  assert.equal(b.links.ready('at-a', 'a'), true);
});

test('what waits for a key exchange is for one life of one node, and goes to no other', () => {
  for (const [id, run] of [
    ['b', 3],
    ['c', 2],
  ] as const) {
    const wire: Parcel[] = [];
    const a = new End('a', 1, wire);
    const wanted = new End('b', 2, []);
    a.say(0, wanted.claim, 'for your last life');
    const b = new End(id, run, wire);
    Object.assign(b.claim, { address: 'at-b' });
    deliver(0, wire, [a, b]);
    assert.equal(a.links.counters.queueOtherLife, 1);
    a.say(10, b.claim, 'for you');
    deliver(10, wire, [a, b]);
    assert.deepEqual(b.heard, ['for you']);
  }
});

test('whoever writes a member as the sender causes one call to it in two seconds at most', () => {
  const wire: Parcel[] = [];
  const a = new End('a', 1, wire);
  const b = new End('b', 2, wire);
  a.links.contact(0, 'at-b', a.out);
  deliver(0, wire, [a, b]);
  a.say(1, b.claim, 'x');
  const forged = { ...wire[0]!, bytes: Uint8Array.from(wire[0]!.bytes) };
  forged.bytes[7]! ^= 1;
  deliver(1, wire, [a, b]);
  let hellos = 0;
  for (let nowMs = 0; nowMs < 20_000; nowMs += 10) {
    b.receive(nowMs, forged);
    hellos += wire.filter(isHello).length;
    deliver(nowMs, wire, [a, b]);
  }
  assert.ok(hellos > 0 && hellos <= 10, `${hellos} calls`);
  // The session goes on all the while.
  a.say(20_000, b.claim, 'y');
  deliver(20_000, wire, [a, b]);
  assert.deepEqual(b.heard, ['x', 'y']);
  // Nobody knows this sender: no answer at all.
  b.links.receive(20_001, forged.bytes, 'at-nobody', b.out);
  assert.deepEqual(wire, []);
});

test('however many members are named as senders, calls into the void are limited', () => {
  const wire: Parcel[] = [];
  const b = new End('b', 2, wire);
  const others = Array.from({ length: 60 }, (_, i) => new End(`a${i}`, 100 + i, wire));
  for (const other of others) other.links.contact(0, 'at-b', other.out);
  deliver(0, wire, [b, ...others]);
  others[0]!.say(1, b.claim, 'x');
  const forged = Uint8Array.from(wire.pop()!.bytes);
  forged[7]! ^= 1;
  for (const { claim } of others) b.links.receive(10_000, forged, claim.address, b.out);
  assert.equal(b.links.counters.voidCalls, 20);
});
