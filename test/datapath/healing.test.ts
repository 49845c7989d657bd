import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sh, skipReason } from '../../bench/datapath/namespace.ts';
import { flowKey } from '../../src/datapath/address-bytes.ts';
import { patternHash, type Result } from './peer.ts';
import { type Family, PORT, Pops, VIP } from './pops.ts';

/** Real TCP between processes that know nothing of holdfast, through route changes. */
const skip = skipReason('nft');
const BYTES = 100_000_000;
const HASH = patternHash(BYTES);
const FAMILIES: readonly Family[] = [4, 6];

/**
 * Moves the route every `everyMs` over the PoPs while jobs run one after the other, until it moved
 * `flips` times within them. Every job must end with `text`.
 */
async function flapping(
  pops: Pops,
  start: () => Promise<Result>,
  text: string,
  flips = 8,
  everyMs = 20,
): Promise<void> {
  let moved = 0;
  while (moved < flips) {
    let running = true;
    const job = start().finally(() => {
      running = false;
    });
    while (running) {
      await pops.route({ to: moved % 3 });
      if (running) moved++;
      await sleep(everyMs);
    }
    expectFine(await job, text);
  }
  await pops.route({ to: 0 });
}

function expectFine(result: Result, text?: string): void {
  assert.equal(result.error, '');
  if (text !== undefined) assert.equal(result.text, text);
}

/** A job's process takes its time to start: the session lives when the kernel of PoP `pop` has it. */
async function session(pops: Pops, pop = 0): Promise<void> {
  for (let tries = 0; [...pops.datapaths[pop]!.own].length === 0; tries++) {
    assert.ok(tries < 1_000, 'a session begins');
    await sleep(5);
  }
}

for (const underlay of FAMILIES) {
  describe(`sessions through pop switches, tunnel on IPv${underlay}`, { skip }, () => {
    let pops: Pops;

    before(async () => {
      pops = await Pops.create({ underlay });
    });
    after(() => pops?.close());

    test('without healing, a single route change resets the session', async () => {
      const job = pops.job({ family: 4, kind: 'echo', amount: 2, everyMs: 100 });
      await sleep(50);
      await pops.route({ to: 1 });
      assert.equal((await job).error, 'ECONNRESET');
      await pops.route({ to: 0 });
    });

    // Their MSS is not clamped. IPv4 fragments what does not fit the tunnel, IPv6 refuses to.
    const size = underlay === 4 ? 'full' : 'small';
    test(`sessions older than the datapath, with ${size} segments, live on`, async () => {
      const bytes = 20_000_000;
      const jobs = FAMILIES.map((family) =>
        underlay === 4
          ? pops.job({ family, kind: 'put', amount: bytes, everyMs: 5 })
          : pops.job({ family, kind: 'echo', amount: 150, everyMs: 10 }),
      );
      await sleep(100);
      pops.heal();
      // At least these: the owner of the session above was never told of its end.
      assert.ok(pops.publish(0) >= 2);
      await pops.route({ to: 1 });
      const results = await Promise.all(jobs);
      await pops.route({ to: 0 });
      for (const result of results) {
        expectFine(result, underlay === 4 ? patternHash(bytes) : undefined);
      }
      assert.ok(pops.verdict('relay_ticket') > 0);
    });

    for (const family of FAMILIES) {
      test(`an IPv${family} echo stream feels nothing of a single flip`, async () => {
        const job = pops.job({ family, kind: 'echo', amount: 60, everyMs: 5 });
        await sleep(150);
        await pops.route({ to: 1 });
        const result = await job;
        await pops.route({ to: 0 });
        expectFine(result);
        assert.ok(result.worstMs < 190, `no retransmission: worst echo ${result.worstMs} ms`);
      });

      test(`an IPv${family} download of 100 MB arrives whole through flips every 20 ms`, async () => {
        await flapping(pops, () => pops.job({ family, kind: 'get', amount: BYTES }), HASH);
      });

      test(`an IPv${family} upload of 100 MB arrives whole through flips every 20 ms`, async () => {
        await flapping(pops, () => pops.job({ family, kind: 'put', amount: BYTES }), HASH);
      });

      test(`IPv${family} sessions live with each packet at another PoP, from the SYN on`, async () => {
        await pops.route({ everyPacket: [0, 1, 2] });
        const echo = { family, kind: 'echo', amount: 20, everyMs: 1 } as const;
        const results = await Promise.all(Array.from({ length: 10 }, () => pops.job(echo)));
        for (const result of results) expectFine(result);
        expectFine(await pops.job({ family, kind: 'put', amount: 5_000_000 }), patternHash(5e6));
        await pops.route({ to: 0 });
      });

      test(`IPv${family} handshakes split after the SYN are completed`, async () => {
        await pops.route({ syn: 0, rest: 1 });
        const echo = { family, kind: 'echo', amount: 5 } as const;
        const results = await Promise.all(Array.from({ length: 10 }, () => pops.job(echo)));
        await pops.route({ to: 0 });
        for (const result of results) expectFine(result);
      });

      test(`IPv${family} ports used again at another PoP reach the new session`, async () => {
        const localPort = 40_000 + underlay * 10 + family;
        const first = await pops.job({ family, kind: 'who', amount: 0, localPort });
        expectFine(first, 'a');
        await pops.route({ to: 1 });
        const job = pops.job({ family, kind: 'echo', amount: 40, everyMs: 5, localPort });
        await sleep(60);
        await pops.route({ to: 0 });
        expectFine(await job);
      });
    }

    test('a path that narrows after a flip does not stall a download', async () => {
      for (const family of FAMILIES) {
        const job = pops.job({ family, kind: 'get', amount: BYTES, timeoutMs: 8_000 });
        await sleep(20);
        // The router's "packet too big" goes to PoP B, the sender is A.
        await pops.route({ to: 1 });
        pops.router.run(() => sh('ip link set dev toclient mtu 1320'));
        const result = await job;
        pops.router.run(() => sh('ip link set dev toclient mtu 1500'));
        await pops.route({ to: 0 });
        expectFine(result, HASH);
      }
    });

    test('the kernel heals alone while no agent runs, and the next agent takes over', async () => {
      const job = pops.job({ family: 4, kind: 'echo', amount: 600, everyMs: 5 });
      await session(pops);
      const boot = pops.datapaths[1]!.boot;
      const before = pops.datapaths[1]!.verdicts.read();
      for (let pop = 0; pop < 3; pop++) pops.stopAgent(pop);
      await pops.route({ to: 1 });
      await sleep(150);
      for (let pop = 0; pop < 3; pop++) pops.startDatapath(pop);
      assert.ok(pops.datapaths[1]!.inherited);
      assert.equal(pops.datapaths[1]!.boot, boot);
      for (let pop = 0; pop < 3; pop++) pops.introduce(pop);
      assert.ok([...pops.datapaths[0]!.own].length >= 1, 'its own flows are known');
      expectFine(await job);
      const now = pops.datapaths[1]!.verdicts.read();
      assert.ok(now.relay_ticket > before.relay_ticket);
      await pops.route({ to: 0 });
    });

    test('when its owner is declared dead, a session is reset at its next packet', async () => {
      const job = pops.job({ family: 4, kind: 'echo', amount: 50, everyMs: 20, timeoutMs: 3_000 });
      await session(pops);
      await pops.route({ to: 1 });
      await sleep(100);
      const [b, c] = [pops.datapaths[1]!, pops.datapaths[2]!];
      const dead = {
        address: pops.underlay(0),
        boot: pops.datapaths[0]!.boot,
        state: 'dead',
      } as const;
      b.nodes.place(dead);
      c.nodes.place(dead);
      const result = await job;
      for (const one of [b, c]) one.nodes.place({ ...dead, state: 'alive' });
      await pops.route({ to: 0 });
      assert.equal(result.error, 'ECONNRESET');
    });

    test('a flow that nobody knows is reset after the time of grace, not before', async () => {
      await pops.route({ to: 1 });
      pops.connected = false;
      const job = pops.job({ family: 4, kind: 'echo', amount: 50, everyMs: 20, timeoutMs: 5_000 });
      await session(pops, 1);
      // Not to the first home: it is A, and so on to B if A had a ticket.
      await pops.route({ to: 2 });
      const result = await job;
      await pops.route({ to: 0 });
      pops.connected = true;
      assert.equal(result.error, 'ECONNRESET');
      assert.ok(result.elapsedMs > pops.datapaths[2]!.graceMs, `${result.elapsedMs} ms`);
    });

    test('every switch was told, and nothing was lost on the way', async () => {
      assert.ok(pops.switched.length > 0);
      for (const datapath of pops.datapaths) assert.equal(datapath!.counts.read().events_lost, 0);
      for (const verdict of ['bad_cookie', 'bad_sender', 'bad_inner', 'unsent'] as const) {
        assert.equal(pops.verdict(verdict), 0, verdict);
      }
    });
  });
}

for (const underlay of FAMILIES) {
  describe(`sessions whose tunnel shares the uplink, on IPv${underlay}`, { skip }, () => {
    let pops: Pops;

    before(async () => {
      pops = await Pops.create({ underlay, shared: true });
      pops.heal();
    });
    after(() => pops?.close());

    test('uploads live through flips, and members’ tunnel packets pass the filter', async () => {
      for (const family of FAMILIES) {
        const start = () => pops.job({ family, kind: 'put', amount: 20_000_000 });
        await flapping(pops, start, patternHash(20_000_000), 4);
      }
      assert.ok(pops.verdict('member_tunnel') > 0);
      assert.equal(pops.verdict('foreign_tunnel'), 0);
    });
  });
}

describe('sessions whose tickets are at one home alone', { skip }, () => {
  let pops: Pops;

  before(async () => {
    pops = await Pops.create({ underlay: 4, homes: [2] });
    pops.heal();
  });
  after(() => pops?.close());

  test('an entry without a ticket reaches the owner by way of the home', async () => {
    for (const family of FAMILIES) {
      // Neighbours are discovered first: a SYN-ACK that waits for that is another test's matter.
      expectFine(await pops.job({ family, kind: 'who', amount: 0 }), 'a');
      const job = pops.job({ family, kind: 'put', amount: 60_000_000 });
      await sleep(10);
      await pops.route({ to: 1 });
      expectFine(await job, patternHash(60_000_000));
      await pops.route({ to: 0 });
      expectFine(await pops.job({ family, kind: 'who', amount: 0 }), 'a');
    }
    assert.ok(pops.verdict('found_there') > 0);
    assert.equal(pops.verdict('relay_ticket'), 0);
  });

  test('the trace of each node tells who does what', async () => {
    const localPort = 41_000;
    const job = pops.job({ family: 4, kind: 'echo', amount: 20, everyMs: 10, localPort });
    await sleep(50);
    const key = flowKey(
      { address: '203.0.113.2', port: localPort },
      { address: VIP[4], port: PORT },
    );
    const traces = pops.datapaths.map((one, i) => pops.pops[i]!.run(() => one!.tracer.trace(key)));
    expectFine(await job);
    assert.deepEqual(
      traces.map(({ who, how }) => [who, how]),
      [
        ['here', 'socket'],
        ['ask', 'home'],
        ['there', 'ticket'],
      ],
    );
  });
});
