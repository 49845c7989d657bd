/** The loop that keeps a driver at the wanted state: who waits for it gets an answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnnounceDriver, Verification } from '../../src/announce/driver.ts';
import { DriverLoop } from '../../src/announce/driver-loop.ts';
import type { AnnounceState } from '../../src/announce/state.ts';

const DEAD_MAN_MS = 60_000;

/** A routing that follows when the test says so. */
class Routing implements AnnounceDriver {
  readonly name = 'test';
  follows: AnnounceState | undefined;
  asked = 0;
  readonly #applying: Promise<void>;

  constructor(applying: Promise<void>) {
    this.#applying = applying;
  }

  found(): Promise<AnnounceState> {
    return Promise.resolve('down');
  }

  apply(): Promise<void> {
    return this.#applying;
  }

  verify(state: AnnounceState): Promise<Verification> {
    this.asked += 1;
    const ok = state === this.follows;
    return Promise.resolve({ ok, problem: ok ? '' : 'not there', found: [`asked of ${state}`] });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

test('a driver that hangs keeps nobody waiting longer than he would', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const loop = new DriverLoop(new Routing(promise), DEAD_MAN_MS, () => undefined);
  t.after(() => loop.close());
  loop.want('up', '');
  await loop.settled(20);
  await loop.followed(20);
  assert.equal(loop.routing.applied, null);
  resolve();
  await loop.settled(5_000);
  assert.equal(loop.routing.applied, 'up');
});

test('what follows late is not said to be missing, and the answer is about the newest state', async (t) => {
  const driver = new Routing(Promise.resolve());
  const problems: string[] = [];
  const loop = new DriverLoop(driver, DEAD_MAN_MS, ({ problem }) => problems.push(problem));
  t.after(() => loop.close());
  driver.follows = 'up';
  loop.want('up', '');
  await loop.followed(5_000);
  assert.deepEqual(loop.routing.found, ['asked of up']);
  loop.want('down', '');
  const answered = loop.followed(5_000);
  const { asked } = driver;
  while (driver.asked < asked + 2) await new Promise((resolve) => setTimeout(resolve, 5));
  driver.follows = 'down';
  await answered;
  assert.deepEqual([loop.routing.ok, loop.routing.found], [true, ['asked of down']]);
  assert.deepEqual(problems, []);
});

test('what does not follow is said to be missing', async (t) => {
  const driver = new Routing(Promise.resolve());
  const problems: string[] = [];
  const loop = new DriverLoop(driver, DEAD_MAN_MS, ({ problem }) => problems.push(problem));
  t.after(() => loop.close());
  loop.want('up', '');
  await loop.followed(5_000);
  assert.deepEqual([loop.routing.ok, problems], [false, ['not there']]);
});
