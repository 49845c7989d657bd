import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countAnnouncements } from '../../bench/lab/measure/announcements.ts';
import { deathReport } from '../../bench/lab/measure/death.ts';
import {
  distribution,
  flipWindows,
  gapsTouching,
  gapsWithin,
} from '../../bench/lab/measure/gaps.ts';
import { Ledger } from '../../bench/lab/measure/ledger.ts';
import type { RunRecord } from '../../bench/lab/measure/record.ts';
import { complaints, computeResult } from '../../bench/lab/measure/result.ts';
import { countedBetween, parseTcpCounters } from '../../bench/lab/measure/tcp-counters.ts';
import { parseStartTicks } from '../../bench/lab/process-stat.ts';

const HEALED = { on: 'survive', off: 'lose' } as const;

/** A ledger of websocket-1 (survives), websocket-2 (reset at the flip) and a download (stalls). */
function sampleLedger(): Ledger {
  const ledger = new Ledger();
  ledger.expect('websocket', ['websocket-1', 'websocket-2']);
  ledger.expect('download', ['download-1']);
  for (const session of ['websocket-1', 'websocket-2', 'download-1']) {
    ledger.accept({ type: 'start', session, atMs: 0 });
  }
  // The flip comes at 100: a stream in step until then, a hole of 60, in step again.
  const arrivals = [0, 20, 40, 60, 80, 90, 150, 170, 190];
  const rttMs = arrivals.map(() => 1);
  ledger.accept({ type: 'echoes', session: 'websocket-1', atMs: arrivals, rttMs });
  const end = { type: 'end', atMs: 200 } as const;
  ledger.accept({ ...end, session: 'websocket-1', how: 'complete', detail: 'fine' });
  ledger.accept({ ...end, session: 'websocket-2', atMs: 101, how: 'reset', detail: 'ECONNRESET' });
  return ledger;
}

function sampleRun(ledger: Ledger, changes: Partial<RunRecord> = {}): RunRecord {
  return {
    scenario: 'single-flip',
    server: 'nginx',
    healing: 'off',
    family: 4,
    seed: 1,
    flipMethod: 'bgp',
    pops: 3,
    durationMs: 8_000,
    beganAtMs: 10,
    flips: [{ atMs: 90, from: 'pop-a', to: 'pop-b', convergenceMs: 7 }],
    gapWindowMs: 55,
    sessions: ledger.sessions,
    tcp: {
      'client-1': { retransmits: 2, resetsSent: 9 },
      'pop-a': { retransmits: 3, resetsSent: 0 },
      'pop-b': { retransmits: 0, resetsSent: 4 },
    },
    relayed: {},
    verdicts: {},
    versions: {},
    ...changes,
  };
}

test('a result counts how sessions ended, and what never ended has stalled', () => {
  const ledger = sampleLedger();
  assert.equal(ledger.allEnded, false);
  ledger.giveUp(10_000);
  const result = computeResult(sampleRun(ledger));
  assert.deepEqual(result.sessions, { started: 3, survived: 1, reset: 1, stalled: 1, corrupt: 0 });
  assert.deepEqual(result.kinds.websocket, {
    started: 2,
    survived: 1,
    reset: 1,
    stalled: 0,
    corrupt: 0,
  });
  assert.equal(result.kinds.upload, undefined);
  assert.equal(result.flips, 1);
  assert.equal(result.retransmits, 5);
  assert.deepEqual(result.resetsSent, { 'pop-a': 0, 'pop-b': 4 });
  assert.equal(result.examples.websocket, 'websocket-2: ECONNRESET');
});

test('a gap that was open when the flip came counts in full, those before it are the baseline', () => {
  const result = computeResult(sampleRun(sampleLedger()));
  // The window is 100 to 155: the hole from 90 to 150 and the step from 150 to 170 touch it.
  assert.deepEqual(result.gapMs, { p50: 20, p99: 60, max: 60 });
  assert.deepEqual(result.baselineGapMs, { p50: 20, p99: 20, max: 20 });
});

test('without a flip there are no flip gaps and the whole run is the baseline', () => {
  const result = computeResult(sampleRun(sampleLedger(), { flips: [] }));
  assert.deepEqual(result.gapMs, { p50: null, p99: null, max: null });
  assert.equal(result.baselineGapMs.max, 60);
});

test('the result begins with the keys that programs were promised, in their order', () => {
  const keys = Object.keys(computeResult(sampleRun(sampleLedger())));
  assert.deepEqual(keys.slice(0, 12), [
    'scenario',
    'server',
    'healing',
    'family',
    'seed',
    'flips',
    'sessions',
    'gapMs',
    'baselineGapMs',
    'retransmits',
    'relayedPackets',
    'verdicts',
  ]);
});

test('every session is counted exactly once, however it ended', () => {
  const how = fc.constantFrom('complete', 'reset', 'stalled', 'corrupt', 'open');
  fc.assert(
    fc.property(fc.array(how, { maxLength: 50 }), (ends) => {
      const ledger = new Ledger();
      const names = ends.map((_, index) => `sse-${index}`);
      ledger.expect('sse', names);
      ends.forEach((end, index) => {
        if (end === 'open') return;
        ledger.accept({ type: 'end', session: names[index]!, atMs: 500, how: end, detail: '' });
      });
      const { started, survived, reset, stalled, corrupt } = computeResult(
        sampleRun(ledger),
      ).sessions;
      assert.equal(started, ends.length);
      assert.equal(survived + reset + stalled + corrupt, started);
      assert.equal(stalled, ends.filter((end) => end === 'stalled' || end === 'open').length);
    }),
  );
});

test('a session that ended before the last flip is pointed out, as are losses that must not be', () => {
  const ledger = sampleLedger();
  ledger.giveUp(10_000);
  const late = [{ atMs: 5_000, from: 'pop-a', to: 'pop-b', convergenceMs: 7 }];
  const result = computeResult(sampleRun(ledger, { flips: late }));
  assert.equal(result.early, 1);
  assert.match(complaints(result, HEALED).join(), /ended before the last flip/);
  const off = computeResult(sampleRun(ledger));
  assert.deepEqual(complaints(off, { on: 'survive', off: 'some' }), []);
  assert.match(
    complaints(off, { on: 'survive', off: 'survive' }).join(),
    /2 of 3 sessions did not survive/,
  );
  const on = computeResult(sampleRun(ledger, { healing: 'on' }));
  assert.match(complaints(on, HEALED).join(), /2 of 3 sessions did not survive/);
});

test('what a session says after its end changes nothing, and strangers are ignored', () => {
  const ledger = new Ledger();
  ledger.expect('sse', ['sse-1']);
  ledger.accept({ type: 'end', session: 'sse-1', atMs: 5, how: 'reset', detail: 'first' });
  ledger.accept({ type: 'end', session: 'sse-1', atMs: 6, how: 'complete', detail: 'second' });
  ledger.accept({ type: 'start', session: 'sse-9', atMs: 6 });
  assert.equal(ledger.sessions.length, 1);
  assert.deepEqual(ledger.sessions[0]?.end, { atMs: 5, how: 'reset', detail: 'first' });
});

test('all are under way once each has begun or failed', () => {
  const ledger = new Ledger();
  ledger.expect('sse', ['sse-1', 'sse-2']);
  ledger.accept({ type: 'start', session: 'sse-1', atMs: 1 });
  assert.equal(ledger.allUnderWay, false);
  ledger.accept({ type: 'end', session: 'sse-2', atMs: 2, how: 'reset', detail: '' });
  assert.equal(ledger.allUnderWay, true);
});

test('flip windows end where the next flip begins', () => {
  assert.deepEqual(flipWindows([0, 100, 5_000], 2_000), [
    { fromMs: 0, toMs: 100 },
    { fromMs: 100, toMs: 2_100 },
    { fromMs: 5_000, toMs: 7_000 },
  ]);
});

test('a gap that touches several windows counts once', () => {
  assert.deepEqual(gapsTouching([0, 250, 260], flipWindows([50, 100, 200], 1_000)), [250, 10]);
  assert.deepEqual(gapsTouching([0, 10, 20, 400, 410], [{ fromMs: 100, toMs: 300 }]), [380]);
  assert.deepEqual(gapsWithin([0, 10, 20, 400], { fromMs: 5, toMs: 400 }), [10]);
});

test('percentiles are values that occurred, by nearest rank', () => {
  assert.deepEqual(distribution([]), { p50: null, p99: null, max: null });
  assert.deepEqual(distribution([3]), { p50: 3, p99: 3, max: 3 });
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual(distribution(hundred), { p50: 50, p99: 99, max: 100 });
});

const SNMP = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin ActiveOpens RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 5 17 0 3 0
Udp: InDatagrams
Udp: 1
`;

test('TCP counters are found by name, not by place', () => {
  assert.deepEqual(parseTcpCounters(SNMP), { retransmits: 17, resetsSent: 3 });
  const later = { retransmits: 20, resetsSent: 3 };
  const between = countedBetween(parseTcpCounters(SNMP), later);
  assert.deepEqual(between, { retransmits: 3, resetsSent: 0 });
});

test('no text makes the readers of /proc throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseTcpCounters(`Tcp: RetransSegs\nTcp:${text}`);
      assert.ok(parseTcpCounters(text).retransmits >= 0);
      parseStartTicks(text);
    }),
  );
});

test('a start time is found behind a program name that holds spaces and parentheses', () => {
  const fields = 'S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21';
  assert.equal(parseStartTicks(`77 (a) b (c) ${fields}\n`), 4242);
  assert.equal(parseStartTicks(`77 (a) ${fields.replace('S', 'Z')}\n`), undefined);
  assert.equal(parseStartTicks('77 (a) S 1'), undefined);
});

test('a death is measured from the moment it came: resets, and the first new connection after it', () => {
  const ledger = new Ledger();
  ledger.expect('websocket', ['websocket-1', 'websocket-2', 'websocket-3']);
  ledger.expect('connect', ['connect-1']);
  const reset = { type: 'end', how: 'reset', detail: '' } as const;
  ledger.accept({ ...reset, session: 'websocket-1', atMs: 900 });
  ledger.accept({ ...reset, session: 'websocket-2', atMs: 1_040 });
  ledger.accept({ ...reset, session: 'websocket-3', atMs: 1_200, how: 'stalled' });
  // The first ends after the death but was begun before it.
  const times = { atMs: [990, 1_010, 1_300, 1_400], rttMs: [5, 20, 250, 5] };
  ledger.accept({ type: 'echoes', session: 'connect-1', ...times });
  ledger.accept({ ...reset, session: 'connect-1', atMs: 2_000 });
  // Of what a client lost, the first after the death counts.
  ledger.expect('reconnect', ['reconnect-1', 'reconnect-2']);
  const again = { type: 'reconnect', session: 'reconnect-1' } as const;
  ledger.accept({ ...again, lostAtMs: 500, atMs: 520, resumed: false });
  ledger.accept({ ...again, lostAtMs: 1_100, atMs: 1_130, resumed: true });
  ledger.accept({ ...again, lostAtMs: 1_500, atMs: 1_505, resumed: false });
  ledger.accept({ ...reset, session: 'reconnect-2', atMs: 3_000 });
  assert.deepEqual(deathReport(ledger.sessions, 1_000), {
    resetSessions: 1,
    resetAfterMs: { p50: 40, p99: 40, max: 40 },
    servedAfterMs: 300,
    reconnectedAfterMs: { p50: 130, p99: 130, max: 130 },
    reconnected: 1,
    resumed: 1,
  });
  assert.equal(deathReport(ledger.sessions, 5_000).servedAfterMs, null);
});

test('where sessions must be reset, a hang is as wrong as survival; new connections are not asked', () => {
  const expected = { on: 'reset', off: 'reset' } as const;
  const ledger = new Ledger();
  ledger.expect('sse', ['sse-1', 'sse-2', 'sse-3']);
  ledger.expect('connect', ['connect-1']);
  const end = { type: 'end', atMs: 500, detail: '' } as const;
  ledger.accept({ ...end, session: 'sse-1', how: 'reset' });
  ledger.accept({ ...end, session: 'sse-2', how: 'stalled' });
  ledger.accept({ ...end, session: 'sse-3', how: 'complete' });
  ledger.accept({ ...end, session: 'connect-1', how: 'complete' });
  assert.deepEqual(complaints(computeResult(sampleRun(ledger)), expected), [
    '1 of 3 sessions survived what none should survive',
    '1 of 3 sessions hung instead of being reset',
  ]);
});

test('announcements are counted by the most of any minute, and a session that begins anew counts from zero', () => {
  const readings = [
    { atMs: 0, updates: 5, withdrawals: 1 },
    { atMs: 10_000, updates: 7, withdrawals: 1 },
    { atMs: 65_000, updates: 8, withdrawals: 2 },
    { atMs: 69_999, updates: 8, withdrawals: 3 },
    { atMs: 80_000, updates: 1, withdrawals: 0 },
  ];
  assert.deepEqual(countAnnouncements('pop-a', readings), {
    pop: 'pop-a',
    updates: 4,
    withdrawals: 2,
    mostPerMinute: 5,
  });
  assert.equal(countAnnouncements('pop-a', []).mostPerMinute, 0);
  const result = computeResult(
    sampleRun(new Ledger(), {
      healing: 'on',
      announcements: [countAnnouncements('pop-a', readings)],
    }),
  );
  const any = { on: 'any', off: 'any' } as const;
  assert.deepEqual(complaints(result, any, 5), []);
  assert.deepEqual(complaints(result, any, 4), [
    'pop-a announced 5 changes in a minute, more than 4',
  ]);
});

test('new connections may fail where sessions must only endure, long sessions may not', () => {
  const ledger = new Ledger();
  ledger.expect('sse', ['sse-1']);
  ledger.expect('connect', ['connect-1']);
  const end = { type: 'end', atMs: 500, detail: '' } as const;
  ledger.accept({ type: 'progress', session: 'connect-1', atMs: 400, done: 8, total: 10 });
  ledger.accept({ ...end, session: 'connect-1', how: 'reset' });
  ledger.accept({ ...end, session: 'sse-1', how: 'complete' });
  const result = computeResult(sampleRun(ledger));
  assert.deepEqual(result.connections, { tried: 10, failed: 2 });
  assert.deepEqual(complaints(result, { on: 'endure', off: 'endure' }), []);
  assert.equal(complaints(result, { on: 'survive', off: 'survive' }).length, 1);
});

test('a scenario that was to break something and broke nothing is pointed out', () => {
  const ledger = new Ledger();
  ledger.expect('sse', ['sse-1']);
  ledger.accept({ type: 'end', session: 'sse-1', atMs: 500, how: 'complete', detail: '' });
  const result = computeResult(sampleRun(ledger));
  assert.match(complaints(result, { on: 'survive', off: 'some' }).join(), /proves nothing/);
  assert.match(complaints(result, HEALED).join(), /1 of 1 sessions survived what none should/);
  assert.deepEqual(complaints(result, { on: 'survive', off: 'any' }), []);
});

test('under a split of TCP every gap is one of the split, none is baseline', () => {
  const steps = [{ atMs: 0, type: 'split', text: '' }];
  const result = computeResult(sampleRun(sampleLedger(), { flips: [], steps }));
  assert.equal(result.gapMs.max, 60);
  assert.equal(result.baselineGapMs.max, null);
});

test('retransmits are set against a control run of the same sessions', () => {
  const gapMs = { p50: 20, p99: 21, max: 22 };
  const control = { retransmits: 2, gapMs };
  const result = computeResult(sampleRun(sampleLedger(), { control }));
  assert.deepEqual([result.retransmitsCaused, result.controlGapMs], [3, gapMs]);
  assert.equal(computeResult(sampleRun(sampleLedger())).retransmitsCaused, null);
});

test('what PoPs relayed and judged is told by node and in all', () => {
  const relayed = { 'pop-a': 1, 'pop-b': 5 };
  const verdicts = { 'pop-a': { socket: 9, find: 1 }, 'pop-b': { find: 4 } };
  const counted = { sent: 1_000, relayed: 50 };
  const flood = { segment: 'syn', packetsPerS: 500, sent: 2_000, failed: 0, counted } as const;
  const result = computeResult(sampleRun(sampleLedger(), { relayed, verdicts, flood }));
  assert.equal(result.relayedPackets, 6);
  assert.deepEqual(result.verdicts, { socket: 9, find: 5 });
  assert.deepEqual(result.verdictsByNode, verdicts);
  assert.equal(result.flood?.relayedPerPacket, 0.05);
});
