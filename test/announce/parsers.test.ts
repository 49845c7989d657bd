/** What comes in from outside: BIRD's answers, lines of the ExaBGP program, notes of nodes, files. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeRouteNote, encodeRouteNote } from '../../src/agent/route-news.ts';
import { NOTHING_SAID, parseRecord } from '../../src/announce/announce-record.ts';
import { type BirdFacts, judgeBird } from '../../src/announce/bird-driver.ts';
import { BirdProtocolError, BirdReplies, REPLY_BYTES_MAX } from '../../src/announce/bird-reply.ts';
import { birdSnippet, coversAny, usualPrefix } from '../../src/announce/bird-snippet.ts';
import { parseBirdProtocols, parseBirdRoutes } from '../../src/announce/bird-tables.ts';
import {
  LineCutter,
  parseExabgpOrder,
  parseExabgpReport,
} from '../../src/announce/exabgp-message.ts';
import { ANNOUNCE_STATES } from '../../src/announce/state.ts';

const ANSWER = `0001 BIRD 2.0.12 ready.
2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     01:28:13.042
 vip4       Static     master4    up     01:28:13.042
 r4         BGP        ---        up     2026-11-21    Established
 r6         BGP        ---        start  01:28:13.811  Active        Socket: Connection refused
0000 
8001 Network not found
9001 syntax error, unexpected CF_SYM_UNDEFINED
`;

describe('BIRD', () => {
  test('answers are the same however their bytes are cut', () => {
    const whole = new BirdReplies().push(ANSWER);
    assert.deepEqual(
      whole.map(({ code }) => code),
      [1, 0, 8001, 9001],
    );
    assert.deepEqual(parseBirdProtocols(whole[1]?.lines ?? []).slice(-2), [
      { name: 'r4', kind: 'BGP', state: 'up', info: 'Established' },
      { name: 'r6', kind: 'BGP', state: 'start', info: 'Active        Socket: Connection refused' },
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(ANSWER.length)), (cuts) => {
        const replies = new BirdReplies();
        const at = [0, ...cuts.sort((a, b) => a - b), ANSWER.length];
        const got = at.slice(1).flatMap((end, i) => replies.push(ANSWER.slice(at[i], end)));
        assert.deepEqual(got, whole);
      }),
    );
  });

  test('what is no answer is refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 40 })), (texts) => {
        const replies = new BirdReplies();
        try {
          for (const text of texts) {
            for (const { lines } of replies.push(`${text}\n`)) {
              parseBirdProtocols(lines);
              parseBirdRoutes(lines);
            }
          }
        } catch (error) {
          assert.ok(error instanceof BirdProtocolError);
        }
      }),
    );
    assert.throws(() => new BirdReplies().push('x'.repeat(REPLY_BYTES_MAX + 1)), BirdProtocolError);
  });

  test('routes are read with their protocol and device', () => {
    const lines = `Table master4:
192.0.2.0/24         unicast [vip4 01:28:13.042] * (200)
\tvia 169.254.104.106 on hf-up
                     blackhole [spare 2026-11-21] (100)
Table master6:
2001:db8::/48        unicast [vip6 01:28:13.042] * (200)
\tdev hf-draining`.split('\n');
    assert.deepEqual(parseBirdRoutes(lines), [
      { prefix: '192.0.2.0/24', protocol: 'vip4', device: 'hf-up' },
      { prefix: '192.0.2.0/24', protocol: 'spare', device: '' },
      { prefix: '2001:db8::/48', protocol: 'vip6', device: 'hf-draining' },
    ]);
  });

  const session = {
    name: 'r4',
    kind: 'BGP',
    state: 'up',
    info: 'Established',
    announces: ['192.0.2.0/24'],
    strays: [],
  };
  const route = { prefix: '192.0.2.0/24', protocol: 'vip4', device: 'hf-up' };
  const cases: [string, 'up' | 'degraded' | 'down', Partial<BirdFacts>, RegExp | undefined][] = [
    ['all as it should be', 'up', {}, undefined],
    ['no route', 'up', { routes: [] }, /no IPv4 route by way of the marker: add\n/],
    ['the route of another state', 'degraded', {}, /still has 192\.0\.2\.0\/24 by hf-up/],
    [
      'a session that exports nothing',
      'up',
      { sessions: [{ ...session, announces: [] }] },
      /export filter/,
    ],
    [
      'no session up',
      'up',
      { sessions: [{ ...session, info: 'Active', announces: [] }] },
      /no BGP session is established/,
    ],
    ['no BGP at all', 'up', { sessions: [] }, undefined],
    ['nothing left', 'down', { routes: [], sessions: [{ ...session, announces: [] }] }, undefined],
    ['a route left', 'down', {}, /still has the routes/],
    [
      'a route that depends on nothing',
      'down',
      { routes: [], sessions: [{ ...session, strays: ['192.0.2.0/24'] }] },
      /whatever holdfast says/,
    ],
  ];
  for (const [what, state, facts, problem] of cases) {
    test(`is judged: ${what}, ${state}`, () => {
      const whole = { greeting: 'BIRD', routes: [route], sessions: [session], ...facts };
      const verification = judgeBird(state, ['192.0.2.10'], whole);
      assert.equal(verification.ok, problem === undefined, verification.problem);
      if (problem !== undefined) assert.match(verification.problem, problem);
    });
  }

  test('the snippet names each network once', () => {
    const text = birdSnippet(['192.0.2.10', '192.0.2.11', '2001:db8:0:5::10']);
    assert.equal(text.match(/route 192\.0\.2\.0\/24 via/g)?.length, 1);
    assert.match(text, /route 2001:db8::\/48 via/);
    assert.equal(usualPrefix('198.51.100.200'), '198.51.100.0/24');
    assert.equal(coversAny('192.0.0.0/16', ['192.0.2.10']), true);
    assert.equal(coversAny('0.0.0.0/0', ['192.0.2.10']), false);
    assert.equal(coversAny('2001:db8::/48', ['192.0.2.10']), false);
  });
});

describe('ExaBGP', () => {
  test('an order is taken only when every command is a route in one line', () => {
    const order = {
      state: 'up',
      commands: ['announce route 192.0.2.0/24 next-hop self med 100'],
      withdraw: ['withdraw route 192.0.2.0/24 next-hop self'],
      leaseMs: 5_000,
    };
    assert.deepEqual(parseExabgpOrder(JSON.stringify(order)), order);
    const bad = [
      { commands: ['shutdown'] },
      { commands: ['announce route x\nshutdown'] },
      { withdraw: 'withdraw route x' },
      { state: 'sideways' },
      { leaseMs: 0 },
      { leaseMs: 1e12 },
      { commands: Array(300).fill(order.commands[0]) },
    ];
    for (const change of bad) {
      assert.equal(parseExabgpOrder(JSON.stringify({ ...order, ...change })), undefined);
    }
  });

  test('no line makes a parser throw, and none is kept longer than allowed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        parseExabgpOrder(line);
        parseExabgpReport(line);
      }),
    );
    const cutter = new LineCutter();
    let isOver = false;
    for (let i = 0; i < 100 && !isOver; i++) isOver = cutter.push('x'.repeat(1_000)) === undefined;
    assert.equal(isOver, true);
  });
});

describe('notes of other nodes', () => {
  test('come out as they went in', () => {
    const state = fc.constantFrom(...ANNOUNCE_STATES);
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const node = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);
    fc.assert(
      fc.property(fc.record({ state, offers: state, run: u32, number: u32, node }), (facts) => {
        assert.deepEqual(decodeRouteNote(encodeRouteNote(facts)), { ...facts });
      }),
    );
    const facts = {
      state: 'draining',
      offers: 'down',
      run: 7,
      number: 258,
      node: 'fra1-a',
    } as const;
    assert.equal(
      Buffer.from(encodeRouteNote(facts)).toString('hex'),
      '030407000000020100006672' + '61312d61',
    );
  });

  test('no bytes make the reader throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const note = decodeRouteNote(bytes);
        if (note !== undefined) assert.deepEqual(encodeRouteNote(note), bytes);
      }),
    );
  });
});

describe('the record of what an operator said', () => {
  const text = (life: string) =>
    JSON.stringify({
      hold: 'off',
      holdAt: '2026-01-01T00:00:00.000Z',
      drain: { forMs: 1, convergeMs: 0, startedS: 5, done: true },
      machineLife: life,
    });

  test('keeps a hold for ever and a drain until the machine starts anew', () => {
    assert.equal(parseRecord(text('a'), 'a').drain?.done, true);
    const other = parseRecord(text('a'), 'b');
    assert.deepEqual([other.hold, other.drain], ['off', null]);
  });

  test('says nothing when it is something else', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const { hold } = parseRecord(json, 'a');
        assert.ok(['off', 'on', 'auto'].includes(hold));
      }),
    );
    assert.deepEqual(parseRecord('[]', 'a'), NOTHING_SAID);
  });
});
