/** The release before this one, seen from the one that follows: it finishes what it has. */
import type { Logger } from 'pino';
import { HoldfastError } from '../errors.ts';
import type { MetricsSnapshot } from './messages.ts';
import {
  type OlderReleases,
  PROTOCOL,
  type ToPredecessor,
  type ToSuccessor,
} from './upgrade-messages.ts';

type Hello = Extract<ToSuccessor, { type: 'hello' }>;
type Step = 'hello' | 'agentEnded' | 'takeOver';

/** A release that is silent for that long is not asked again at once. */
const ASK_TIMEOUT_MS = 2_000;
const NOTHING: OlderReleases = { releases: [], metrics: [] };

export interface PredecessorEvents {
  /** It says that this release is not wanted, or it is gone before this one had taken over. */
  readonly onGiveUp: () => void;
  /** Nothing is left of it. Its counts, to be kept. */
  readonly onEnded: (metrics: readonly MetricsSnapshot[]) => void;
}

export class Predecessor {
  readonly #log: Logger;
  readonly #events: PredecessorEvents;
  readonly #steps: Record<Step, PromiseWithResolvers<Hello | undefined>> = {
    hello: Promise.withResolvers(),
    agentEnded: Promise.withResolvers(),
    takeOver: Promise.withResolvers(),
  };
  readonly #pending = new Map<number, (answer: OlderReleases | undefined) => void>();
  readonly #gone = Promise.withResolvers<void>();
  #nextId = 1;
  #tookOver = false;
  #isGone = false;
  #last = NOTHING;

  /** Speaks over the IPC channel of this process, which {@link Inheritance} says is there. */
  constructor(log: Logger, events: PredecessorEvents) {
    this.#log = log;
    this.#events = events;
    for (const { promise } of Object.values(this.#steps)) promise.catch(() => undefined);
    process.on('message', (message: ToSuccessor) => this.#received(message));
    process.on('disconnect', () => this.#ended([...this.#last.metrics]));
    if (!process.connected) queueMicrotask(() => this.#ended([]));
  }

  /** Resolves when nothing is left of it, nor of those before it. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** What it passes on beside the sockets. Rejects when it speaks another language. */
  async hello(): Promise<Hello> {
    const hello = (await this.#steps.hello.promise) as Hello;
    if (hello.protocol === PROTOCOL) return hello;
    throw new HoldfastError(
      `the running release is too far from this one (protocol ${hello.protocol}, here ${PROTOCOL}): drain and start anew`,
      { code: 'ERR_UPGRADE', source: 'usage', retryable: false },
    );
  }

  /** Resolves when its agent has ended, and this one's may start. */
  async needAgent(): Promise<void> {
    this.#tell({ type: 'needAgent' });
    await this.#steps.agentEnded.promise;
  }

  /** Says that all is up; resolves when this release is the node. */
  async ready(): Promise<void> {
    this.#tell({ type: 'ready' });
    await this.#steps.takeOver.promise;
    this.#tookOver = true;
  }

  /** Says why this release cannot start; the other goes on without it. Resolves when it is said. */
  async failed(message: string): Promise<void> {
    await say({ type: 'failed', message });
    await this.gaveUp();
  }

  /** Says that nothing of this release is in the way of the other, which is not heard any more. */
  async gaveUp(): Promise<void> {
    this.#isGone = true;
    await say({ type: 'gaveUp' });
    this.#gone.resolve();
    if (process.connected) process.disconnect?.();
  }

  /** What it and those before it still have. The last known when it does not answer in time. */
  async collect(metrics: boolean): Promise<OlderReleases> {
    if (this.#isGone) return NOTHING;
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<OlderReleases | undefined>();
    this.#pending.set(id, resolve);
    const timer = setTimeout(() => resolve(undefined), ASK_TIMEOUT_MS);
    this.#tell({ type: 'collect', id, metrics });
    const answer = await promise;
    clearTimeout(timer);
    this.#pending.delete(id);
    if (this.#isGone) return NOTHING;
    if (answer !== undefined) {
      this.#last = metrics ? answer : { ...answer, metrics: this.#last.metrics };
    }
    return this.#last;
  }

  /** Log files are opened anew. */
  reopen(): void {
    this.#tell({ type: 'reopen' });
  }

  /** It ends what is left as after TERM. */
  drain(): void {
    this.#tell({ type: 'drain' });
  }

  cut(): void {
    this.#tell({ type: 'cut' });
  }

  #received(message: ToSuccessor): void {
    switch (message.type) {
      case 'hello':
        this.#steps.hello.resolve(message);
        break;
      case 'agentEnded':
      case 'takeOver':
        this.#steps[message.type].resolve(undefined);
        break;
      case 'giveUp':
        this.#giveUp('the running release does not wait any longer');
        break;
      case 'collected':
        this.#pending.get(message.id)?.(message);
        break;
      case 'ended':
        this.#ended(message.metrics);
        break;
    }
  }

  #giveUp(reason: string): void {
    const error = new HoldfastError(reason, {
      code: 'ERR_UPGRADE',
      source: 'internal',
      retryable: true,
    });
    for (const { reject } of Object.values(this.#steps)) reject(error);
    if (!this.#tookOver) this.#events.onGiveUp();
  }

  #ended(metrics: readonly MetricsSnapshot[]): void {
    if (this.#isGone) return;
    this.#isGone = true;
    for (const settle of [...this.#pending.values()]) settle(undefined);
    if (this.#tookOver) {
      this.#events.onEnded(metrics);
      this.#log.info('nothing is left of the release before');
    } else this.#giveUp('the running release is gone');
    this.#gone.resolve();
    if (process.connected) process.disconnect?.();
  }

  #tell(message: ToPredecessor): void {
    void say(message);
  }
}

/** For a release that cannot even begin: tells the running one why. Resolves when it is said. */
export async function refuseToFollow(message: string): Promise<void> {
  await say({ type: 'failed', message });
}

function say(message: ToPredecessor): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });
}
