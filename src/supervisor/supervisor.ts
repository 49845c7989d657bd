/**
 * The parent process: it starts workers and keeps them running, reloads, drains, and adds up what
 * they say. It carries no user traffic.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { type Change, configDifference } from '../config/difference.ts';
import { formatListener, type Listener } from '../config/listener.ts';
import type { LoadedConfig } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { HoldfastError } from '../errors.ts';
import { applyToAll } from './all-or-nothing.ts';
import { HealthBoard } from './health-board.ts';
import type { SocketHandle } from './listen-sockets.ts';
import type { Failure, MetricsSnapshot, OriginHealth, ToWorker } from './messages.ts';
import { MetricsTotal } from './metrics-total.ts';
import { degradations, mergedSites, type NodeStatus, sum } from './status.ts';
import { NodeTicketKeys } from './ticket-keys.ts';
import type { CarriedCounts, OlderReleases } from './upgrade-messages.ts';
import { type Collected, type SlotOwner, WorkerSlot } from './worker-slot.ts';

/** New workers that take longer do not keep the old ones from being drained. */
const REPLACE_TIMEOUT_MS = 10_000;
/** A worker that takes longer to take a configuration over is stuck. */
const APPLY_TIMEOUT_MS = 30_000;
/** Status and metrics do not wait longer for a busy worker. */
const COLLECT_TIMEOUT_MS = 1_000;
/** After the deadline of a drain, workers have this long to end by themselves. */
const DRAIN_GRACE_MS = 3_000;
/** Deaths without any worker having come up, after which a start is given up. */
const STARTS_MAX = 3;

/** Something outside the workers that a reload changes, such as the admin address. */
export interface Preparation {
  commit(): void;
  abort(): void;
}

export interface SupervisorDeps {
  readonly log: Logger;
  /** The program of a worker process. */
  readonly workerFile: string;
  readonly version: string;
  /** The open socket of a listener; there is one before any configuration with it is applied. */
  socketOf(listener: Listener): SocketHandle | undefined;
  /** Reads the configuration again. Throws {@link ConfigError}. */
  load(): LoadedConfig;
  /** Prepares what else follows the configuration; rejects when it cannot be. */
  prepare(config: Config): Promise<Preparation>;
  /** Starts the active health checks, or adapts them. Origins no longer checked are reported healthy. */
  checkHealth(config: Config): void;
  /** What releases before this one still have. */
  older(metrics: boolean): Promise<OlderReleases>;
}

export interface Reloaded {
  readonly changes: readonly Change[];
  readonly warnings: LoadedConfig['warnings'];
}

export class Supervisor implements SlotOwner {
  readonly log: Logger;
  readonly #deps: SupervisorDeps;
  readonly #board = new HealthBoard();
  readonly #metrics = new MetricsTotal();
  readonly #ticketKeys = new NodeTicketKeys(new Uint8Array(randomBytes(48)));
  readonly #startedMs = performance.now();
  #slots: WorkerSlot[] = [];
  #retiring = new Set<WorkerSlot>();
  #loaded: LoadedConfig;
  #loadedAt = new Date();
  #state: NodeStatus['state'] = 'starting';
  #refused: string | null = null;
  #reloading: Promise<unknown> = Promise.resolve();
  #replaced: (() => void) | undefined;
  #started: { resolve(): void; reject(error: Error): void } | undefined;
  #deathsBeforeUp = 0;
  #nextSlot = 0;
  /** Those of the releases before are in it. */
  #counts: CarriedCounts = { crashes: 0, applied: 0, refused: 0, upgrades: 0 };
  #olderReleases = 0;
  #replacedAt: Date | undefined;
  #allOrNone = false;

  constructor(loaded: LoadedConfig, deps: SupervisorDeps) {
    this.#loaded = loaded;
    this.#deps = deps;
    this.log = deps.log;
  }

  get workerFile(): string {
    return this.#deps.workerFile;
  }

  socketOf(listener: Listener): SocketHandle | undefined {
    return this.#deps.socketOf(listener);
  }

  get config(): Config {
    return this.#loaded.config;
  }

  get loaded(): LoadedConfig {
    return this.#loaded;
  }

  get state(): NodeStatus['state'] {
    return this.#state;
  }

  /** True when at least one worker serves. */
  get serves(): boolean {
    return this.#slots.some((slot) => slot.isUp);
  }

  /** `https://192.0.2.10:443`, with the ports that the kernel chose in place of 0. */
  get listeners(): string[] {
    const ports = this.#slots.find((slot) => slot.isUp)?.ports ?? [];
    return [...this.config.vips, ...this.config.listen].map((listener, i) =>
      formatListener({ ...listener, port: ports[i] ?? listener.port }),
    );
  }

  /**
   * Starts the workers; resolves when all are up. Rejects, and ends them all, when the first to
   * answer cannot listen or when none comes up at all.
   * @param allOrNone Rejects, too, when any of them dies: there is a release that serves meanwhile.
   */
  async start(allOrNone = false): Promise<void> {
    const started = new Promise<void>((resolve, reject) => {
      this.#started = { resolve, reject };
    });
    this.#allOrNone = allOrNone;
    this.#resize();
    try {
      await started;
    } catch (error) {
      // Whoever was accepted meanwhile is not cut off.
      await this.#drainAll(this.serves ? this.#drainMs : 0);
      throw error;
    }
    this.#state = 'running';
    this.#deps.checkHealth(this.config);
  }

  /** Takes over what the release before knows. Call before {@link start}. */
  carryOver(
    keys: readonly Uint8Array[],
    counts: CarriedCounts,
    unhealthy: readonly OriginHealth[],
  ) {
    this.#ticketKeys.replace(keys);
    this.#counts = { ...counts, upgrades: counts.upgrades + 1 };
    for (const health of unhealthy) this.#board.set(health);
  }

  /** What the next release is to know. */
  get legacy(): {
    ticketKeys: readonly Uint8Array[];
    counts: CarriedCounts;
    unhealthy: readonly OriginHealth[];
  } {
    const { workersUp: _, olderReleases: __, ...counts } = this.counts();
    return { ticketKeys: this.#ticketKeys.all, counts, unhealthy: this.#board.unhealthy };
  }

  /** Keeps the counts of releases that are gone. */
  async bury(metrics: readonly MetricsSnapshot[]): Promise<void> {
    for (const snapshot of metrics) await this.#metrics.bury(snapshot);
  }

  /** Reloads, one at a time. Rejects with {@link ConfigError} or `ERR_RELOAD`; the old one then stays. */
  reload(): Promise<Reloaded> {
    const result = this.#reloading.then(() => this.#reload());
    this.#reloading = result.catch(() => undefined);
    return result;
  }

  /** Leaves service. Resolves, when all workers are gone, to the number of connections cut. */
  async drain(): Promise<number> {
    this.#state = 'draining';
    await this.#reloading;
    return this.#drainAll(this.#drainMs);
  }

  /**
   * Another release serves: accepts nothing new and waits until every session has ended by itself.
   * A {@link drain} may hurry it. Resolves to the number of connections that such a drain cut.
   * @param deadlineMs After this what is left is drained; 0 for no limit.
   */
  async retire(deadlineMs: number): Promise<number> {
    this.#state = 'draining';
    this.#replacedAt = new Date();
    await this.#reloading;
    const timer =
      deadlineMs === 0 ? undefined : setTimeout(() => void this.drain(), deadlineMs).unref();
    const slots = [...this.#slots.splice(0), ...this.#retiring];
    const cuts = await Promise.all(slots.map((slot) => this.#leaving(slot, () => slot.retire())));
    clearTimeout(timer);
    return sum(cuts, (cut) => cut);
  }

  /**
   * New workers serve in the place of those that serve now, which are drained: sessions are asked
   * to end, and cut at the deadline. Resolves when they are gone.
   */
  async replaceWorkers(): Promise<void> {
    await this.#reloading;
    const old = this.#slots.splice(0);
    const fresh = new Promise<void>((resolve) => {
      this.#replaced = resolve;
      setTimeout(resolve, REPLACE_TIMEOUT_MS).unref();
    });
    this.#resize();
    await fresh;
    await Promise.all(old.map((slot) => this.#retire(slot)));
  }

  /** What this release still has after {@link retire}, and those before it. */
  async remains(metrics: boolean): Promise<OlderReleases> {
    const slots = [...this.#retiring];
    const [older, ...collected] = await Promise.all([
      this.#deps.older(metrics),
      ...slots.map((slot) => this.#collect(slot, metrics)),
    ]);
    const answers = collected.filter((each) => each !== undefined).map(({ status }) => status);
    const own = {
      version: this.#deps.version,
      pid: process.pid,
      replacedAt: (this.#replacedAt ?? new Date()).toISOString(),
      workers: slots.length,
      connections: sum(answers, (status) => status.connections),
      requestsInFlight: sum(answers, (status) => status.requestsInFlight),
      tunnels: sum(answers, (status) => status.tunnels),
    };
    // Nobody checks origins for them any more: what they believe would be the worst for hours.
    const known = slots.map(({ lastMetrics = [] }) =>
      lastMetrics.filter(({ aggregator }) => aggregator !== 'min'),
    );
    return {
      releases: slots.length === 0 ? older.releases : [own, ...older.releases],
      metrics: metrics ? [...known, this.#metrics.gone, ...older.metrics] : [],
    };
  }

  /** True unless every worker is stuck: one answers, or one is on its way. */
  async isAlive(): Promise<boolean> {
    const states = await Promise.all(
      this.#slots.map(async (slot) => slot.line(await this.#collect(slot, false)).state),
    );
    return states.length === 0 || states.some((state) => state !== 'silent');
  }

  /** Workers that retire write to the log of before, too. */
  reopenLogs(): void {
    for (const slot of [...this.#slots, ...this.#retiring]) slot.tell({ type: 'reopen' });
  }

  /** Ends every worker at once. */
  cut(): void {
    for (const slot of [...this.#slots, ...this.#retiring]) slot.kill();
  }

  /** Tells every worker what the health checks found. */
  healthChanged(health: OriginHealth): void {
    this.#board.set(health);
    for (const slot of this.#slots) slot.tell({ type: 'health', ...health });
  }

  /** Gives every worker, also those to come, the TLS ticket keys of all nodes. The first seals. */
  setTicketKeys(keys: readonly Uint8Array[]): void {
    this.#ticketKeys.replace(keys);
    const { all } = this.#ticketKeys;
    for (const slot of this.#slots) slot.tell({ type: 'ticketKeys', keys: all });
  }

  async status(): Promise<NodeStatus> {
    const slots = [...this.#slots, ...this.#retiring];
    const [{ releases: older }, ...collected] = await Promise.all([
      this.#deps.older(false),
      ...slots.map((slot) => this.#collect(slot, false)),
    ]);
    this.#olderReleases = older.length;
    const workers = slots.map((slot, i) => slot.line(collected[i]));
    const answers = collected.filter((each) => each !== undefined).map(({ status }) => status);
    const sites = mergedSites(answers.map((status) => status.sites));
    const { config, file } = this.#loaded;
    const degraded = degradations(workers.slice(0, this.#slots.length), sites);
    return {
      state: this.#state,
      degraded,
      version: this.#deps.version,
      node: config.node ?? '',
      pop: config.pop ?? '',
      pid: process.pid,
      uptimeMs: Math.round(performance.now() - this.#startedMs),
      config: {
        file: file ?? null,
        loadedAt: this.#loadedAt.toISOString(),
        refused: this.#refused,
      },
      listeners: this.listeners,
      connections: sum([...answers, ...older], (one) => one.connections),
      requestsInFlight: sum([...answers, ...older], (one) => one.requestsInFlight),
      tunnels: sum([...answers, ...older], (one) => one.tunnels),
      workers,
      older,
      sites,
    };
  }

  /**
   * Numbers of all workers, also of older releases, and of the supervisor itself, in Prometheus form.
   * @param own Asked for last, since it counts older releases, too.
   */
  async metrics(
    own: () => Promise<MetricsSnapshot>,
  ): Promise<{ contentType: string; text: string }> {
    const slots = [...this.#slots, ...this.#retiring];
    const [older] = await Promise.all([
      this.#deps.older(true),
      ...slots.map((slot) => this.#collect(slot, true)),
    ]);
    this.#olderReleases = older.releases.length;
    // A busy worker's numbers are those it gave last: a sum must not go down.
    const snapshots = slots.map((slot) => slot.lastMetrics ?? []);
    const registry = this.#metrics.total([...snapshots, ...older.metrics, await own()]);
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  /** For the supervisor's own metrics. */
  counts(): CarriedCounts & { readonly workersUp: number; readonly olderReleases: number } {
    return {
      ...this.#counts,
      workersUp: this.#slots.filter((slot) => slot.isUp).length,
      olderReleases: this.#olderReleases,
    };
  }

  settled(): Promise<unknown> {
    return this.#reloading;
  }

  startMessage(): Extract<ToWorker, { type: 'start' }> {
    return {
      type: 'start',
      config: this.config,
      health: this.#board.unhealthy,
      ticketKeys: this.#ticketKeys.all,
    };
  }

  slotReady(slot: WorkerSlot): void {
    this.log.info({ worker: slot.number, workerPid: slot.pid }, 'worker is up');
    if (this.#slots.every((each) => each.isUp)) {
      this.#started?.resolve();
      this.#replaced?.();
    }
    this.#align();
  }

  slotCrashed(slot: WorkerSlot, failure: Failure): void {
    const { lastMetrics } = slot;
    slot.lastMetrics = undefined;
    this.#counts = { ...this.#counts, crashes: this.#counts.crashes + 1 };
    if (lastMetrics !== undefined) void this.#metrics.bury(lastMetrics);
    if (this.#state !== 'starting') return;
    if (this.serves && !this.#allOrNone) {
      // Not all, but some: better degraded than down.
      this.#started?.resolve();
      return;
    }
    this.#deathsBeforeUp += 1;
    if (
      this.#allOrNone ||
      failure.code !== 'ERR_WORKER_EXIT' ||
      this.#deathsBeforeUp >= STARTS_MAX
    ) {
      const { code, message } = failure;
      this.#started?.reject(
        new HoldfastError(message, { code, source: 'internal', retryable: false }),
      );
    }
  }

  #collect(slot: WorkerSlot, metrics: boolean): Promise<Collected | undefined> {
    return slot.collect(metrics, COLLECT_TIMEOUT_MS);
  }

  async #reload(): Promise<Reloaded> {
    if (this.#state === 'draining') throw reloadError('the node is draining');
    try {
      const next = this.#deps.load();
      const changes = configDifference(this.config, next.config);
      await this.#applyEverywhere(next.config);
      this.#loaded = next;
      this.#loadedAt = new Date();
      this.#refused = null;
      this.#counts = { ...this.#counts, applied: this.#counts.applied + 1 };
      this.#align();
      this.reopenLogs();
      this.#resize();
      this.#deps.checkHealth(this.config);
      this.log.info({ changes: changes.map(({ kind, what }) => `${kind} ${what}`) }, 'reloaded');
      return { changes, warnings: next.warnings };
    } catch (error) {
      this.#counts = { ...this.#counts, refused: this.#counts.refused + 1 };
      this.#refused = (error as Error).message;
      const problems = error instanceof ConfigError ? { problems: error.problems } : {};
      this.log.error({ ...problems, reason: this.#refused }, 'reload refused, nothing changed');
      throw error;
    }
  }

  /** All workers take it over, or all go back to what they had. */
  async #applyEverywhere(next: Config): Promise<void> {
    const preparation = await this.#deps.prepare(next);
    const appliers = this.#slots
      .filter((slot) => slot.isUp)
      .map((slot) => ({
        apply: (config: Config) => slot.apply(config, APPLY_TIMEOUT_MS),
        kill: () => slot.kill(),
      }));
    const failure = await applyToAll(appliers, next, this.config);
    if (failure === undefined) {
      preparation.commit();
      return;
    }
    preparation.abort();
    throw reloadError(failure.message);
  }

  /** Brings workers that came up during a reload to the configuration that is valid now. */
  #align(): void {
    for (const slot of this.#slots) {
      if (!slot.isUp || slot.config === this.config) continue;
      void slot.apply(this.config, APPLY_TIMEOUT_MS).then((failure) => {
        if (failure === undefined) return;
        this.log.error({ worker: slot.number, reason: failure.message }, 'worker lags, killed');
        slot.kill();
      });
    }
  }

  /** As many workers as the configuration says: new ones start, surplus ones drain. */
  #resize(): void {
    const wanted = this.config.workers ?? 1;
    while (this.#slots.length < wanted) {
      const slot = new WorkerSlot(this.#nextSlot++, this);
      this.#slots.push(slot);
      slot.start();
    }
    for (const slot of this.#slots.splice(wanted)) void this.#retire(slot);
  }

  async #retire(slot: WorkerSlot): Promise<void> {
    await this.#leaving(slot, () => slot.drain(this.#drainMs));
    this.log.info({ worker: slot.number }, 'worker retired');
  }

  /** A worker that is seen, and counted, until it is gone. */
  async #leaving(slot: WorkerSlot, end: () => Promise<number>): Promise<number> {
    this.#retiring.add(slot);
    const cut = await end();
    if (!this.#retiring.delete(slot)) return 0;
    if (slot.lastMetrics !== undefined) await this.#metrics.bury(slot.lastMetrics);
    return cut;
  }

  get #drainMs(): number {
    return this.config.drain.deadlineMs + DRAIN_GRACE_MS;
  }

  async #drainAll(killAfterMs: number): Promise<number> {
    const slots = [...this.#slots, ...this.#retiring];
    const cuts = await Promise.all(slots.map((slot) => slot.drain(killAfterMs)));
    return cuts.reduce((total, cut) => total + cut, 0);
  }
}

function reloadError(message: string): HoldfastError {
  return new HoldfastError(message, { code: 'ERR_RELOAD', source: 'internal', retryable: false });
}
