/** Single rules of membership, without a network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Claim,
  DEAD,
  decodeClaim,
  encodeClaim,
  LEFT,
  SUSPECT,
} from '../../../src/proto/claim.ts';
import { encodeExchange } from '../../../src/proto/exchange.ts';
import {
  FIELD_ACK,
  FIELD_CLAIM,
  FIELD_EXCHANGE,
  FIELD_NACK,
  FIELD_PING,
  FIELD_PING_REQUEST,
  PacketReader,
  PacketWriter,
} from '../../../src/proto/packet.ts';
import { decodeProbe, encodeAck } from '../../../src/proto/probe.ts';
import { DATAGRAM_BYTES_MAX } from '../../../src/sync/core.ts';
import { Membership } from '../../../src/sync/membership.ts';
import type { MembershipOutbox } from '../../../src/sync/membership-outbox.ts';
import { Random } from '../../../src/sync/random.ts';
import { MEMBERSHIP_DEFAULTS } from '../../../src/sync/settings.ts';

function claimOf(id: string, changes: Partial<Claim> = {}): Claim {
  return {
    id,
    incarnation: 1,
    run: id.charCodeAt(0),
    status: 0,
    accuser: '',
    boot: 7,
    pop: 'p',
    address: `192.0.2.${id.charCodeAt(0)}:7946`,
    configDigest: 1,
    version: '0',
    protocolMin: 1,
    protocolMax: 1,
    draining: false,
    ...changes,
  };
}

/**
 * Node `a` knows `b` and `c`, or others; claims that it posts are noted with their receivers.
 * Those in `answering` answer its probes, and can reach nobody for it.
 */
function trio(
  others: readonly string[] = ['b', 'c'],
  answering: readonly string[] = [],
): {
  membership: Membership;
  posted: { to: string; claim: Claim }[];
  /** `node change run`, as the components hear it. */
  changes: string[];
  /** A claim in the whole view of another node. */
  exchange: (nowMs: number, from: string, claim: Claim) => void;
  hear: (nowMs: number, from: string, claim: Claim) => void;
  tick: (nowMs: number) => void;
} {
  const { status: _status, incarnation: _incarnation, accuser: _accuser, ...facts } = claimOf('a');
  const membership = new Membership(facts, [], MEMBERSHIP_DEFAULTS, new Random(1), 0);
  const posted: { to: string; claim: Claim }[] = [];
  const changes: string[] = [];
  const answers: [peer: number, field: number, sequence: number][] = [];
  const out: MembershipOutbox = {
    post: (to, field, body) => {
      const probe = decodeProbe(body);
      if (probe !== undefined && answering.includes(membership.table.get(to)!.id)) {
        if (field === FIELD_PING) answers.push([to, FIELD_ACK, probe.sequence]);
        if (field === FIELD_PING_REQUEST) answers.push([to, FIELD_NACK, probe.sequence]);
      }
      const claim = field === FIELD_CLAIM ? decodeClaim(body) : undefined;
      if (claim !== undefined) posted.push({ to: membership.table.get(to)!.id, claim });
      return true;
    },
    postStream: () => true,
    nudge: () => {},
    contact: () => {},
    doubt: () => {},
    ready: () => true,
    changed: (change, { member }) => changes.push(`${member.id} ${change} ${member.run}`),
    send: () => true,
    stream: () => true,
    broadcast: () => {},
    notify: () => {},
  };
  for (const id of others) membership.linked(0, claimOf(id), false, out);
  return {
    membership,
    posted,
    changes,
    exchange: (nowMs, from, claim) => {
      const peer = membership.table.indexOf(from)!;
      const body = encodeExchange({ reply: true, digest: 0, claims: [claim] });
      membership.receiveStream(nowMs, peer, FIELD_EXCHANGE, body, out);
    },
    hear: (nowMs, from, claim) => {
      const peer = membership.table.indexOf(from)!;
      const packet = new PacketWriter(DATAGRAM_BYTES_MAX, 0, 0);
      packet.append(FIELD_CLAIM, encodeClaim(claim));
      const received = new PacketReader();
      assert.ok(received.read(packet.content()));
      membership.receive(nowMs, peer, received, 0, out);
    },
    tick: (nowMs) => {
      membership.tick(nowMs, out);
      for (const [peer, field, sequence] of answers.splice(0)) {
        membership.receiveStream(nowMs, peer, field, encodeAck(sequence), out);
      }
    },
  };
}

test('who suspects a node that died some time ago hears that it is dead', () => {
  const { membership, posted, hear, tick } = trio();
  const suspected = claimOf('c', { status: SUSPECT, accuser: 'b' });
  hear(1_000, 'b', suspected);
  for (let nowMs = 1_000; nowMs < 20_000; nowMs += 100) tick(nowMs);
  const { member, sinceMs } = membership.table.entryOf('c')!;
  assert.equal(member.status, 'dead');
  const answers = (nowMs: number): { to: string; claim: Claim }[] => {
    posted.length = 0;
    hear(nowMs, 'b', suspected);
    return posted;
  };
  assert.equal(answers(sinceMs + 500).length, 0, 'the news is still on its way to everybody');
  const [answer] = answers(sinceMs + 1_500);
  assert.deepEqual(
    [answer?.to, answer?.claim.id, answer?.claim.status, answer?.claim.accuser],
    ['b', 'c', DEAD, 'a'],
  );
  posted.length = 0;
  hear(sinceMs + 1_600, 'b', claimOf('c', { status: DEAD, accuser: 'b' }));
  assert.equal(posted.length, 0, 'who knows it is not told');
});

test('a suspect that others declared dead is called more than once for its last word', () => {
  const { membership, posted, hear, tick } = trio();
  hear(1_000, 'b', claimOf('c', { status: SUSPECT, accuser: 'b' }));
  posted.length = 0;
  hear(4_000, 'b', claimOf('c', { status: DEAD, accuser: 'b' }));
  for (let nowMs = 4_000; nowMs < 4_400; nowMs += 10) tick(nowMs);
  const calls = posted.filter(({ to, claim }) => to === 'c' && claim.id === 'c');
  assert.ok(calls.length >= 3, `${calls.length} calls`);
  assert.equal(membership.table.entryOf('c')!.member.status, 'suspect');
  // One answer is enough.
  hear(4_395, 'c', claimOf('c', { incarnation: 2 }));
  assert.equal(membership.table.entryOf('c')!.member.status, 'alive');
});

test('a life that was heard of only when it had ended is still told of when it comes back', () => {
  const { membership, hear, exchange, changes } = trio();
  hear(1_000, 'b', claimOf('c', { status: LEFT, accuser: 'b' }));
  // Restarted, declared dead and wrongly so: nothing of it was heard here but the death.
  const restarted = { incarnation: 3, run: 77 };
  exchange(20_000, 'b', claimOf('c', { ...restarted, status: DEAD }));
  assert.equal(membership.table.entryOf('c')!.member.run, 77);
  hear(30_000, 'c', claimOf('c', { ...restarted, incarnation: 4 }));
  assert.deepEqual(changes.slice(-2), ['c dead 77', 'c run 77']);
  hear(40_000, 'c', claimOf('c', { ...restarted, incarnation: 5, status: SUSPECT, accuser: 'b' }));
  hear(40_100, 'c', claimOf('c', { ...restarted, incarnation: 6 }));
  assert.deepEqual(changes.slice(-2), ['c suspect 77', 'c alive 77']);
});

test('a suspect that answers probes gets time for a last word when its suspicion ends', () => {
  const deaths = (answers: boolean): number => {
    const { membership, hear, tick, posted } = trio();
    hear(1_000, 'b', claimOf('c', { status: SUSPECT, accuser: 'b' }));
    const { suspicion } = membership.table.entryOf('c')!;
    const { endMs } = suspicion!;
    if (answers) suspicion!.answered();
    posted.length = 0;
    let deadAtMs = 0;
    for (let nowMs = Math.floor(endMs); deadAtMs === 0; nowMs += 10) {
      tick(nowMs);
      if (membership.table.entryOf('c')!.member.status === 'dead') deadAtMs = nowMs;
    }
    const calls = posted.filter(({ to }) => to === 'c').length;
    assert.ok(answers ? calls >= 3 : calls <= 2, `${calls} calls`);
    return deadAtMs - endMs;
  };
  assert.ok(deaths(false) < 20);
  const graceMs = deaths(true);
  assert.ok(graceMs >= 400 && graceMs < 450, `${graceMs} ms`);
});

test('a life that others do not know of ends soon when they know that another one ended', () => {
  const endedAtMs = (isTold: boolean): number => {
    const others = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
    const living = others.filter((id) => id !== 'c');
    const { membership, exchange, tick } = trio(others, living);
    // It restarted and left, all of which this node missed; both lives were its name's first.
    if (isTold) exchange(1_000, 'b', claimOf('c', { run: 77, status: LEFT }));
    for (let nowMs = 1_000; nowMs < 60_000; nowMs += 10) {
      tick(nowMs);
      if (membership.table.entryOf('c')!.member.status === 'dead') return nowMs - 1_000;
    }
    return Number.POSITIVE_INFINITY;
  };
  assert.ok(endedAtMs(true) <= 4_500, `${endedAtMs(true)} ms`);
  assert.ok(endedAtMs(false) > 10_000, `${endedAtMs(false)} ms`);
});

test('an accuser hears from others that the accused has refuted', () => {
  const { posted, hear } = trio();
  hear(1_000, 'c', claimOf('c', { incarnation: 5 }));
  posted.length = 0;
  hear(2_000, 'b', claimOf('c', { incarnation: 4, status: SUSPECT, accuser: 'd' }));
  assert.equal(posted.length, 0, 'who merely passes it on hears of it in time');
  hear(2_000, 'b', claimOf('c', { incarnation: 4, status: SUSPECT, accuser: 'b' }));
  assert.deepEqual(
    posted.map(({ to, claim }) => [to, claim.id, claim.status, claim.incarnation]),
    [['b', 'c', 0, 5]],
  );
});
