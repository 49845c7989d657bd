import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  Announcer,
  type AnnouncerOptions,
  type Observation,
} from '../../src/announce/announcer.ts';
import type { Signal } from '../../src/announce/signals.ts';
import { type AnnounceState, isWorse } from '../../src/announce/state.ts';

const OPTIONS: AnnouncerOptions = {
  rise: 3,
  fall: 2,
  improveAfterMs: 10_000,
  changesPerMinute: 6,
  failOpen: true,
  settleMs: 3_000,
};

const signal = (name: string, good: boolean, facts: Partial<Signal> = {}): Signal => ({
  name,
  good,
  effect: 'down',
  shared: false,
  text: `${name} is bad`,
  ...facts,
});

const seen = (facts: Partial<Observation> = {}): Observation => ({
  signals: [],
  othersWell: 1,
  sessions: 0,
  canClose: false,
  ...facts,
});

/** An announcer and its clock: one look a second. */
class Run {
  nowMs = 0;
  readonly announcer: Announcer;

  constructor(options: Partial<AnnouncerOptions> = {}, found: AnnounceState = 'down') {
    this.announcer = new Announcer(0, { ...OPTIONS, ...options }, found);
  }

  get state(): AnnounceState {
    return this.announcer.decision.state;
  }

  look(times: number, observation: Partial<Observation>): this {
    for (let i = 0; i < times; i++) {
      this.nowMs += 1_000;
      this.announcer.observe(this.nowMs, seen(observation));
    }
    return this;
  }

  /** Looks with these signals all good, or all bad. */
  good(times: number): this {
    return this.look(times, { signals: [signal('listener', true)] });
  }

  bad(times: number, facts: Partial<Signal> = {}): this {
    return this.look(times, { signals: [signal('listener', false, facts)] });
  }
}

describe('health', () => {
  test('announces nothing until health was shown, then at once', () => {
    const run = new Run();
    assert.equal(run.good(2).state, 'down');
    assert.equal(run.good(1).state, 'up');
    assert.deepEqual(run.announcer.decision.reasons, []);
  });

  test('a successor announces on what it found until it is shown otherwise', () => {
    const run = new Run({}, 'up');
    assert.equal(run.state, 'up');
    assert.equal(run.bad(1).state, 'up');
    assert.equal(run.bad(1).state, 'down');
  });

  const effects = [
    { effect: 'degraded', shared: false, state: 'degraded' },
    { effect: 'down', shared: false, state: 'down' },
    { effect: 'degraded', shared: true, state: 'degraded' },
  ] as const;
  for (const { effect, shared, state } of effects) {
    test(`what is bad with effect ${effect}${shared ? ', shared' : ''} makes it ${state} after ${OPTIONS.fall} looks`, () => {
      const run = new Run().good(3);
      assert.equal(run.bad(1, { effect, shared }).state, 'up');
      assert.equal(run.bad(1, { effect, shared }).state, state);
      assert.deepEqual(run.announcer.decision.reasons, ['listener is bad']);
      assert.equal(run.announcer.decision.offers, state);
    });
  }

  test('a single bad look between good ones changes nothing', () => {
    const run = new Run().good(3);
    for (let i = 0; i < 10; i++) run.bad(1).good(1);
    assert.equal(run.state, 'up');
    assert.equal(run.announcer.changes, 1);
  });

  test('the wait before it is announced better doubles with each failure', () => {
    const run = new Run({ changesPerMinute: 60 }).good(3);
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      assert.equal(run.bad(OPTIONS.fall).state, 'down');
      const badMs = run.nowMs;
      while (run.good(1).state !== 'up');
      waits.push((run.nowMs - badMs) / 1_000 - OPTIONS.rise);
    }
    assert.deepEqual(waits, [10, 20, 40, 80]);
  });

  test('the wait is told, with how much of it is over', () => {
    const run = new Run().good(3).bad(2).good(7);
    assert.match(run.announcer.decision.reasons.join(), /^well for 4 of 10 s/);
  });

  test('what is looked at no longer is forgotten', () => {
    const run = new Run().good(3).bad(2);
    assert.equal(run.state, 'down');
    run.look(11, { signals: [signal('another', true)] });
    assert.deepEqual(run.announcer.troubles, []);
  });
});

describe('shared failures', () => {
  const origins = { effect: 'down', shared: true } as const;
  const looks = (run: Run, times: number, othersWell: number) =>
    run.look(times, { othersWell, signals: [signal('origin', false, origins)] });

  test('withdraw when another node is well, after a moment in which it may find the same', () => {
    const run = new Run().look(3, { signals: [signal('origin', true, origins)] });
    assert.equal(looks(run, 2, 1).state, 'degraded');
    assert.match(run.announcer.decision.reasons.join(), /other nodes may be finding the same/);
    assert.equal(looks(run, 3, 1).state, 'down');
  });

  test('never withdraw the last node that announces', () => {
    const run = new Run().look(3, { signals: [signal('origin', true, origins)] });
    assert.equal(looks(run, 100, 0).state, 'degraded');
    assert.match(run.announcer.decision.reasons.join(), /fail-open/);
    assert.equal(run.announcer.decision.offers, 'down', 'it is no help to the others');
  });

  test('of a node that has just started are no reason to announce before it was looked at', () => {
    const run = new Run();
    assert.equal(looks(run, OPTIONS.fall - 1, 0).state, 'down');
    assert.equal(looks(run, 1, 0).state, 'degraded');
  });

  test('bring a withdrawn node back when the others fail, too', () => {
    const run = new Run().look(3, { signals: [signal('origin', true, origins)] });
    assert.equal(looks(run, 10, 1).state, 'down');
    assert.equal(looks(run, 1, 0).state, 'degraded');
  });

  test('withdraw even the last node when fail-open is off', () => {
    const run = new Run({ failOpen: false }).look(3, {
      signals: [signal('origin', true, origins)],
    });
    assert.equal(looks(run, 2, 0).state, 'down');
  });

  test('do not keep a node announced whose own listener is gone', () => {
    const run = new Run().good(3);
    const signals = [signal('origin', false, origins), signal('listener', false)];
    assert.equal(run.look(3, { othersWell: 0, signals }).state, 'down');
  });

  test('of two nodes with one dead origin, at least one is announced at every moment', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), fc.nat(4), (failA, failB, gossipS) => {
        const [a, b] = [new Run({ rise: 1 }), new Run({ rise: 1 })];
        const offers: { a: AnnounceState; b: AnnounceState }[] = [];
        const well = (state: AnnounceState | undefined) => (state === 'up' ? 1 : 0);
        for (let s = 0; s < 60; s++) {
          // Each hears the other late.
          const heard = offers[s - 1 - gossipS];
          const signals = (failS: number) => [signal('origin', s < 3 + failS, origins)];
          a.look(1, { othersWell: well(heard?.b), signals: signals(failA) });
          b.look(1, { othersWell: well(heard?.a), signals: signals(failB) });
          offers.push({ a: a.announcer.decision.offers, b: b.announcer.decision.offers });
          // News older than the moment of settling may be wrong about the other.
          if (s > 3 && gossipS < 3) assert.ok(a.state !== 'down' || b.state !== 'down');
        }
        assert.deepEqual([a.state, b.state], ['degraded', 'degraded']);
      }),
    );
  });
});

describe('an operator', () => {
  test('holds it off or on against health, at once and without damping', () => {
    const run = new Run().good(3);
    run.announcer.setHold(run.nowMs, 'off', ' since noon');
    assert.equal(run.state, 'down');
    assert.equal(run.announcer.decision.offers, 'down');
    assert.deepEqual(run.announcer.decision.reasons, ['held off by hand since noon']);
    assert.equal(run.good(5).state, 'down');
    run.announcer.setHold(run.nowMs, 'auto');
    assert.equal(run.state, 'up');
    run.announcer.setHold(run.nowMs, 'on');
    assert.equal(run.bad(5).state, 'up');
    assert.deepEqual(run.announcer.decision.reasons, ['held on by hand', 'listener is bad']);
    run.announcer.setHold(run.nowMs, 'auto');
    assert.equal(run.state, 'down');
  });

  test('drains: worse, then withdrawn, then the sessions’ time, then asked to end', () => {
    const run = new Run().good(3);
    const phases: string[] = [];
    run.announcer.drain(run.nowMs, { forMs: 30_000, convergeMs: 10_000 });
    assert.equal(run.state, 'draining');
    assert.equal(run.announcer.decision.offers, 'down');
    for (let s = 0; s < 40; s++) {
      run.look(1, { sessions: 5, canClose: true, signals: [signal('listener', true)] });
      const phase = `${s + 1} ${run.announcer.plan?.phase} ${run.state}`;
      if (!phases.some((one) => one.slice(one.indexOf(' ')) === phase.slice(phase.indexOf(' ')))) {
        phases.push(phase);
      }
    }
    assert.deepEqual(phases, ['1 converging draining', '10 waiting down', '30 closing down']);
    run.announcer.closed(run.nowMs);
    assert.equal(run.announcer.plan?.phase, 'drained');
  });

  test('a drain is done as soon as no session is left, but not before the world has heard it', () => {
    const run = new Run().good(3);
    run.announcer.drain(run.nowMs, { forMs: 60_000, convergeMs: 10_000 });
    assert.equal(run.good(9).state, 'draining');
    run.good(1);
    assert.equal(run.announcer.plan?.phase, 'drained');
    assert.equal(run.state, 'down');
  });

  test('resumes in the middle, back to what health says, at once', () => {
    for (const looks of [2, 15]) {
      const run = new Run().good(3);
      run.announcer.drain(run.nowMs, { forMs: 60_000, convergeMs: 10_000 });
      run.look(looks, { sessions: 1, signals: [signal('listener', true)] });
      run.announcer.resume(run.nowMs);
      assert.equal(run.state, 'up');
      assert.equal(run.announcer.decision.cause, 'resume');
    }
  });

  test('who is withdrawn does not come back to say that it drains', () => {
    const run = new Run().good(3).bad(2);
    run.announcer.drain(run.nowMs, { forMs: 60_000, convergeMs: 10_000 });
    assert.equal(run.state, 'down');
  });

  test('what an earlier process had drained stays drained', () => {
    const run = new Run({}, 'down');
    run.announcer.drained(0);
    assert.equal(run.good(60).state, 'down');
    run.announcer.resume(run.nowMs);
    assert.equal(run.state, 'up');
  });
});

describe('whatever health does', () => {
  const step = fc.record({
    listener: fc.boolean(),
    origin: fc.boolean(),
    mesh: fc.boolean(),
    othersWell: fc.nat(1),
    looks: fc.integer({ min: 1, max: 4 }),
  });

  test('it changes the announcement no more often than allowed in any minute, and bad news is never late', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 40, maxLength: 200 }),
        fc.integer({ min: 4, max: 12 }),
        fc.boolean(),
        (steps, changesPerMinute, failOpen) => {
          const run = new Run({ rise: 1, fall: 1, changesPerMinute, improveAfterMs: 0, failOpen });
          const changesMs: number[] = [];
          let before = run.state;
          for (const { listener, origin, mesh, othersWell, looks } of steps) {
            for (let i = 0; i < looks; i++) {
              run.look(1, {
                othersWell,
                signals: [
                  signal('listener', listener),
                  signal('origin', origin, { shared: true }),
                  signal('mesh', mesh, { effect: 'degraded' }),
                ],
              });
              if (run.state !== before) changesMs.push(run.nowMs);
              before = run.state;
              if (!listener) assert.equal(run.state, 'down');
              if (!mesh) assert.ok(isWorse(run.state, 'up'));
            }
          }
          for (const atMs of changesMs) {
            const within = changesMs.filter((one) => one > atMs - 60_000 && one <= atMs);
            assert.ok(within.length <= changesPerMinute, `${within.length} changes in a minute`);
          }
        },
      ),
    );
  });

  test('every state but up has a reason', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const run = new Run();
        for (const { listener, origin, othersWell, looks } of steps) {
          const signals = [
            signal('listener', listener),
            signal('origin', origin, { shared: true }),
          ];
          run.look(looks, { othersWell, signals });
          if (run.state !== 'up') assert.notDeepEqual(run.announcer.decision.reasons, []);
        }
      }),
    );
  });
});
