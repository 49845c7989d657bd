/** One place for a worker: starts it, talks to it, replaces it when it crashes. */
import { type ChildProcess, fork } from 'node:child_process';
import type { Server } from 'node:net';
import type { Logger } from 'pino';
import { formatListener, type Listener } from '../config/listener.ts';
import type { Config } from '../config/schema.ts';
import type { SocketHandle } from './listen-sockets.ts';
import type { Failure, FromWorker, MetricsSnapshot, ToWorker } from './messages.ts';
import { RestartDelay } from './restart-delay.ts';
import type { WorkerLine, WorkerState, WorkerStatus } from './status.ts';

/**
 * What a request leaves behind dies young: more room for it costs memory and saves no time. With
 * V8's own choice an idle tunnel took 13.5 kB, with this 9.0 (9,000 tunnels).
 */
const YOUNG_GENERATION = '--max-semi-space-size=8';

/** What the slot needs from its supervisor. */
export interface SlotOwner {
  readonly log: Logger;
  /** The program of a worker process. */
  readonly workerFile: string;
  /** The open socket of a listener. */
  socketOf(listener: Listener): SocketHandle | undefined;
  /** Resolves when no reload is under way: no worker starts between two configurations. */
  settled(): Promise<unknown>;
  /** The first message to a new worker. */
  startMessage(): Extract<ToWorker, { type: 'start' }>;
  slotReady(slot: WorkerSlot): void;
  /** The worker is gone without having been asked to go. */
  slotCrashed(slot: WorkerSlot, failure: Failure): void;
}

export interface Collected {
  readonly status: WorkerStatus;
  readonly metrics: MetricsSnapshot | undefined;
}

type Reply = Extract<FromWorker, { id: number }>;

export class WorkerSlot {
  readonly number: number;
  readonly #owner: SlotOwner;
  readonly #delay = new RestartDelay();
  readonly #pending = new Map<number, (reply: Reply | undefined) => void>();
  #worker: ChildProcess | undefined;
  /** The worker that has got its start message. */
  #greeted: ChildProcess | undefined;
  #config: Config | undefined;
  #state: Exclude<WorkerState, 'silent'> = 'starting';
  #startedMs = 0;
  #crashes = 0;
  #nextId = 1;
  #restartTimer: NodeJS.Timeout | undefined;
  #failure: Failure | undefined;
  #gone: Promise<void> = Promise.resolve();
  #cut = 0;
  #drained: Promise<number> | undefined;
  /** Ports of its listeners, in the order of the configuration. */
  ports: readonly number[] = [];
  /** The last metrics of the worker: of one that crashed, those last collected. */
  lastMetrics: MetricsSnapshot | undefined;

  constructor(number: number, owner: SlotOwner) {
    this.number = number;
    this.#owner = owner;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  get pid(): number | undefined {
    return this.#worker?.pid;
  }

  /** Forks a worker and tells it what to serve. */
  start(): void {
    this.#state = 'starting';
    this.#startedMs = performance.now();
    this.#failure = undefined;
    const worker = fork(this.#owner.workerFile, [], {
      env: { ...process.env, HOLDFAST_WORKER: String(this.number) },
      execArgv: [...process.execArgv, YOUNG_GENERATION],
      serialization: 'advanced',
    });
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#received(worker, message));
    // A channel that breaks while we write to it is the worker's death, which 'exit' tells.
    worker.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      worker.once('exit', (code, signal) => {
        this.#exited(code, signal);
        resolve();
      });
    });
    void this.#owner.settled().then(() => {
      const message = this.#owner.startMessage();
      this.#sendSockets(worker, undefined, message.config);
      this.#config = message.config;
      this.#greeted = worker;
      this.#send(worker, message);
    });
  }

  /** Sends without waiting; a worker without its start message yet will learn it from that. */
  tell(message: ToWorker): void {
    if (this.#worker !== undefined && this.#greeted === this.#worker) {
      this.#send(this.#worker, message);
    }
  }

  /** The configuration that the worker has, or will have when it is up. */
  get config(): Config | undefined {
    return this.#config;
  }

  /**
   * Takes a new configuration over. Resolves to what went wrong, or to `undefined`. A worker that
   * is not up is no failure: its replacement starts with whatever is valid then. One that does not
   * answer in time is killed and replaced.
   */
  async apply(config: Config, timeoutMs: number): Promise<Failure | undefined> {
    if (!this.isUp || this.#worker === undefined) return undefined;
    this.#sendSockets(this.#worker, this.#config, config);
    const reply = await this.#ask((id) => ({ type: 'apply', id, config }), timeoutMs);
    if (reply?.type === 'applied') {
      this.ports = reply.ports;
      if (reply.failure === undefined) this.#config = config;
      return reply.failure;
    }
    if (!this.isUp) return undefined;
    this.#owner.log.error({ worker: this.number, timeoutMs }, 'worker does not answer, killed');
    this.kill();
    return undefined;
  }

  /** Asks for status and metrics; `undefined` when the worker does not serve or does not answer in time. */
  async collect(metrics: boolean, timeoutMs: number): Promise<Collected | undefined> {
    // One that drains still has connections to tell of.
    if (!this.isUp && this.#state !== 'draining') return undefined;
    const reply = await this.#ask((id) => ({ type: 'collect', id, metrics }), timeoutMs);
    if (reply?.type !== 'collected') return undefined;
    this.lastMetrics = reply.metrics ?? this.lastMetrics;
    return { status: reply.status, metrics: this.lastMetrics };
  }

  /**
   * Accepts nothing new and ends when its last connection has. Resolves to the number of connections
   * cut by a {@link drain} that was asked for meanwhile.
   */
  async retire(): Promise<number> {
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    const before = this.#state;
    this.#state = 'draining';
    if (worker === undefined) return 0;
    if (before === 'up') this.#send(worker, { type: 'retire' });
    else if (before !== 'draining') worker.kill('SIGKILL');
    await this.#gone;
    return this.#cut;
  }

  /** Leaves service for good. Resolves to the number of connections cut, when the process is gone. */
  drain(killAfterMs: number): Promise<number> {
    // A worker that a reload has retired may still drain when the whole node does.
    this.#drained ??= this.#drain(killAfterMs);
    return this.#drained;
  }

  async #drain(killAfterMs: number): Promise<number> {
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    // One that retires is told to hurry.
    const serves = this.#state === 'up' || this.#state === 'draining';
    this.#state = 'draining';
    if (worker === undefined) return 0;
    if (serves) this.#send(worker, { type: 'drain' });
    else worker.kill('SIGKILL');
    const killer = setTimeout(() => {
      this.#owner.log.error({ worker: this.number }, 'worker outlived its drain, killed');
      worker.kill('SIGKILL');
    }, killAfterMs);
    await this.#gone;
    clearTimeout(killer);
    return this.#cut;
  }

  /** Ends the process at once. It is replaced, unless it drains. */
  kill(): void {
    this.#worker?.kill('SIGKILL');
  }

  /** One line of the status. `collected` is `undefined` when it did not answer. */
  line(collected: Collected | undefined): WorkerLine {
    const running = this.#worker !== undefined;
    return {
      slot: this.number,
      pid: this.pid ?? null,
      state: this.#state === 'up' && collected === undefined ? 'silent' : this.#state,
      uptimeMs: running ? Math.round(performance.now() - this.#startedMs) : 0,
      crashes: this.#crashes,
      connections: collected?.status.connections ?? 0,
      requestsInFlight: collected?.status.requestsInFlight ?? 0,
      tunnels: collected?.status.tunnels ?? 0,
    };
  }

  /** The sockets of listeners that are new with a configuration. They arrive before what follows. */
  #sendSockets(worker: ChildProcess, before: Config | undefined, next: Config): void {
    const known = new Set(before === undefined ? [] : listenersOf(before).map(formatListener));
    for (const listener of listenersOf(next)) {
      const name = formatListener(listener);
      const socket = known.has(name) ? undefined : this.#owner.socketOf(listener);
      if (socket === undefined) continue;
      this.#send(worker, { type: 'socket', listener: name }, socket);
    }
  }

  #send(worker: ChildProcess, message: ToWorker, socket?: SocketHandle): void {
    if (!worker.connected) return;
    // The types know no bare handle, which Node has always taken: node:cluster sends them.
    if (socket === undefined) worker.send(message, () => undefined);
    else worker.send(message, socket as unknown as Server, () => undefined);
  }

  async #ask(make: (id: number) => ToWorker, timeoutMs: number): Promise<Reply | undefined> {
    const worker = this.#worker;
    if (worker === undefined) return undefined;
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (reply: Reply | undefined) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(reply);
      };
      this.#pending.set(id, settle);
      this.#send(worker, make(id));
    });
  }

  #received(worker: ChildProcess, message: FromWorker): void {
    if (worker !== this.#worker) return;
    switch (message.type) {
      case 'ready':
        this.ports = message.ports;
        if (this.#state === 'starting') this.#state = 'up';
        this.#owner.slotReady(this);
        break;
      case 'failed':
        this.#failure = message.failure;
        break;
      case 'drained':
        this.#cut = message.cut;
        this.lastMetrics = message.metrics;
        break;
      default:
        this.#pending.get(message.id)?.(message);
    }
  }

  #exited(code: number | null, signal: string | null): void {
    const lifeMs = performance.now() - this.#startedMs;
    this.#worker = undefined;
    for (const settle of [...this.#pending.values()]) settle(undefined);
    if (this.#state === 'draining') return;
    this.#crashes += 1;
    this.#state = 'restarting';
    const delayMs = this.#delay.afterDeath(lifeMs);
    const facts = { worker: this.number, code, signal, delayMs };
    const failure = this.#failure ?? {
      code: 'ERR_WORKER_EXIT',
      message: `worker ${this.number} ended with ${signal ?? `exit code ${code}`}`,
    };
    this.#owner.log.error({ ...facts, reason: failure.message }, 'worker crashed, replacing it');
    this.#restartTimer = setTimeout(() => this.start(), delayMs);
    this.#owner.slotCrashed(this, failure);
  }
}

function listenersOf(config: Config): Listener[] {
  return [...config.vips, ...config.listen];
}
