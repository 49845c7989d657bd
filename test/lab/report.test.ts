import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionKind } from '../../bench/lab/clients/event.ts';
import { Endings } from '../../bench/lab/endings.ts';
import { Ledger } from '../../bench/lab/measure/ledger.ts';
import { computeResult, type LabResult } from '../../bench/lab/measure/result.ts';
import { conclusion } from '../../bench/lab/report/conclusion.ts';
import { frame } from '../../bench/lab/report/frame.ts';
import { comparisonTable, resultTable } from '../../bench/lab/report/table.ts';
import { bar, cut, fit, milliseconds, wrap } from '../../bench/lab/report/text.ts';
import { anycastTopology } from '../../bench/lab/topology.ts';

const KINDS: readonly SessionKind[] = ['download', 'upload', 'websocket', 'sse'];

function ledger(how: 'complete' | 'reset', count: number): Ledger {
  const made = new Ledger();
  for (const kind of KINDS) {
    const names = Array.from({ length: count }, (_, index) => `${kind}-${index + 1}`);
    made.expect(kind, names);
    for (const session of names) {
      made.accept({ type: 'start', session, atMs: 0 });
      made.accept({
        type: 'end',
        session,
        atMs: 9_000,
        how,
        detail: how === 'reset' ? 'curl: (56) Recv failure: Connection reset by peer' : 'fine',
      });
    }
  }
  return made;
}

function result(how: 'complete' | 'reset', flips: number, healing: 'on' | 'off'): LabResult {
  return computeResult({
    scenario: flips === 0 ? 'no-flip' : 'single-flip',
    server: 'holdfast',
    healing,
    family: 6,
    seed: 1,
    flipMethod: 'bgp',
    pops: 3,
    durationMs: 8_000,
    beganAtMs: 0,
    flips: Array.from({ length: flips }, () => ({
      atMs: 3_000,
      from: 'pop-a',
      to: 'pop-b',
      convergenceMs: 8.25,
    })),
    gapWindowMs: 2_000,
    sessions: ledger(how, 4).sessions,
    tcp: {
      'client-1': { retransmits: 1, resetsSent: 0 },
      'pop-b': { retransmits: 0, resetsSent: 16 },
    },
    relayed: healing === 'on' ? { 'pop-b': 1_234_567 } : {},
    verdicts: {},
    versions: {},
  });
}

const fits = (lines: readonly string[], columns: number) => {
  for (const line of lines) assert.ok([...line].length <= columns, `${[...line].length}: ${line}`);
};

test('a result fits 80 columns and says how many survived', () => {
  const lines = resultTable(result('reset', 1, 'off'));
  fits(
    lines.filter((line) => !line.includes('for example')),
    80,
  );
  assert.match(lines.join('\n'), /all sessions +16 +0 +16 +0 +0/);
  assert.match(lines.join('\n'), /pop-a → pop-b in 8\.25 ms \(bgp\)/);
});

test('three results side by side fit 80 columns', () => {
  const lines = comparisonTable([
    { title: ['route stays', ''], result: result('complete', 0, 'off') },
    { title: ['route moves', 'healing off'], result: result('reset', 1, 'off') },
    { title: ['route moves', 'healing on'], result: result('complete', 1, 'on') },
  ]);
  fits(lines, 80);
  assert.match(lines.join('\n'), /all that survived +16 of 16 +0 of 16 +16 of 16/);
});

test('the conclusion tells what was measured and never claims healing that did not run', () => {
  const without = conclusion([result('complete', 0, 'off'), result('reset', 1, 'off')]).join(' ');
  assert.match(without, /While the route stays, 16 of 16 sessions end as planned/);
  assert.match(without, /16 of 16 live sessions broke: pop-b has no socket .* with 16 RSTs/);
  assert.match(without, /not in this version yet/);
  const all = [
    result('complete', 0, 'off'),
    result('reset', 1, 'off'),
    result('complete', 1, 'on'),
  ];
  assert.match(conclusion(all).join(' '), /With healing, 16 of 16 survived the same move/);
  fits(conclusion(all), 78);
});

test('the conclusion admits it when nothing broke', () => {
  const text = conclusion([result('complete', 1, 'off')]).join(' ');
  assert.match(text, /16 of 16 sessions survived without healing/);
});

test('the live view fits its terminal, wide or narrow, with two PoPs or eight', () => {
  for (const pops of [2, 8]) {
    const topology = anycastTopology({ pops });
    for (const [columns, rows] of [
      [79, 24],
      [40, 12],
    ] as const) {
      const lines = frame(
        {
          title: 'holdfast demo · route moves, healing off · server holdfast · IPv6',
          sinceMs: 12_345,
          step: '',
          notes: ['done: route stays: 16 of 16 sessions survived'],
          view: {
            elapsedMs: 3_100,
            durationMs: 8_000,
            pops: topology.pops,
            routeTo: topology.pops[1],
            sessions: ledger('reset', 1_000).sessions,
          },
          events: Array.from({ length: 30 }, (_, i) => ({ atMs: i, text: 'x'.repeat(100) })),
        },
        columns,
        rows,
      );
      fits(lines, columns);
      if (rows === 24) assert.ok(lines.length < rows, `${lines.length} lines`);
      assert.ok(lines.some((line) => line.includes('[B]')));
    }
  }
});

test('a thousand resets are one sentence, told once, with the time of the first', () => {
  const sessions = ledger('reset', 1_000).sessions;
  const endings = new Endings();
  const news = endings.news(sessions);
  assert.equal(news.length, 4);
  assert.match(news[0]!.text, /^1000 × download reset: curl: \(56\)/);
  assert.deepEqual(endings.news(sessions), []);
});

test('text is cut with an ellipsis, filled up, and bars never overflow', () => {
  assert.equal(fit('abc', 5), 'abc  ');
  assert.equal(fit('abcdef', 4), 'abc…');
  assert.equal(cut('abc', 5), 'abc');
  assert.equal(bar(2, 4), '████');
  assert.equal(bar(-1, 4), '░░░░');
  assert.equal(milliseconds(null), '–');
  assert.deepEqual(wrap('a bb ccc', 4), ['a bb', 'ccc']);
});
