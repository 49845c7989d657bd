/** The composition root of a node: the only file that knows all rooms. */
import { fileURLToPath } from 'node:url';
import { type AdminAnswer, AdminServer, type AdminSource } from './admin/admin-server.ts';
import { redacted } from './admin/redaction.ts';
import { AgentProcess } from './agent/agent-process.ts';
import { formatListener, type Listener } from './config/listener.ts';
import type { LoadedConfig } from './config/load.ts';
import { ConfigError, formatProblem } from './config/problem.ts';
import type { Config } from './config/schema.ts';
import { HealthChecker } from './edge/health-checker.ts';
import { healthTargetsOf } from './edge/route.ts';
import { HoldfastError } from './errors.ts';
import { tellEdgeHealth } from './node/edge-word.ts';
import { type ConfigOrigin, checkRoutePatterns, loadNodeConfig } from './node/node-config.ts';
import { type Inheritance, takeInheritance } from './supervisor/inheritance.ts';
import { ListenSockets, wantedBy } from './supervisor/listen-sockets.ts';
import { type NodeLog, openLog } from './supervisor/log.ts';
import { OwnMetrics } from './supervisor/own-metrics.ts';
import { Predecessor, refuseToFollow } from './supervisor/predecessor.ts';
import { ReleaseFileError, releaseFileIn } from './supervisor/release-file.ts';
import { ServiceManager } from './supervisor/service-manager.ts';
import type { NodeStatus } from './supervisor/status.ts';
import { Succession, type Upgraded } from './supervisor/succession.ts';
import { type Preparation, type Reloaded, Supervisor } from './supervisor/supervisor.ts';
import { PROTOCOL, type ToPredecessor } from './supervisor/upgrade-messages.ts';
import { version } from './version.ts';

/** Older releases have this much longer than their own deadline to end. */
const OLDER_GRACE_MS = 5_000;

/** One node: a supervisor, its admin server, its health checks. */
export class HoldfastNode {
  readonly #origin: ConfigOrigin;
  readonly #nodeLog: NodeLog;
  readonly #supervisor: Supervisor;
  readonly #ownMetrics: OwnMetrics;
  readonly #sockets: ListenSockets;
  readonly #manager: ServiceManager;
  readonly #watchdogMs: number | undefined;
  readonly #predecessor: Predecessor | undefined;
  readonly #succession: Succession;
  readonly #ended = Promise.withResolvers<number>();
  readonly #agent: AgentProcess;
  readonly #edgeWord: NodeJS.Timeout;
  /** The release before serves still. */
  #isFollowing = false;
  #admin: AdminServer | undefined;
  #health: HealthChecker | undefined;

  /**
   * @param loaded as {@link loadNodeConfig} gives it for the same origin.
   * @param inheritance What this process was started with.
   */
  constructor(origin: ConfigOrigin, loaded: LoadedConfig, inheritance: Inheritance) {
    const { config } = loaded;
    const node = config.node ?? '';
    this.#origin = origin;
    this.#nodeLog = openLog(config.logLevel, { node, pid: process.pid });
    this.#sockets = new ListenSockets(inheritance.sockets);
    this.#manager = new ServiceManager(inheritance.notifySocket, this.log);
    this.#watchdogMs = inheritance.watchdogMs;
    if (inheritance.isSuccessor) this.#predecessor = this.#makePredecessor();
    this.#supervisor = new Supervisor(loaded, {
      log: this.#nodeLog.log,
      workerFile: programFile('./worker'),
      version: version(),
      load: () => loadNodeConfig(this.#origin),
      socketOf: (listener) => this.#sockets.handleOf(listener),
      prepare: (next) => this.#prepare(next),
      checkHealth: (next) => this.#checkHealth(next),
      older: async (metrics) =>
        (await this.#predecessor?.collect(metrics)) ?? { releases: [], metrics: [] },
    });
    this.#succession = this.#makeSuccession(inheritance);
    this.#agent = new AgentProcess({
      log: this.#nodeLog.log,
      file: programFile('./agent/agent-child'),
      version: version(),
      onTicketKeys: (keys) => this.#supervisor.setTicketKeys(keys),
      closeSessions: () => this.#supervisor.replaceWorkers(),
    });
    const counts = () => this.#supervisor.counts();
    this.#ownMetrics = new OwnMetrics(counts, { version: version(), node });
    this.#edgeWord = tellEdgeHealth(this.#agent, this.#supervisor, () => this.#isFollowing);
    this.#logWarnings(loaded);
  }

  get log(): NodeLog['log'] {
    return this.#nodeLog.log;
  }

  get listeners(): readonly string[] {
    return this.#supervisor.listeners;
  }

  get config(): Config {
    return this.#supervisor.config;
  }

  /** `http://127.0.0.1:2019`, or `undefined` when it is off. */
  get adminUrl(): string | undefined {
    return this.#admin?.url;
  }

  /** Resolves to an exit code when the node has ended by itself: after an upgrade, say. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** Resolves when every worker is up. Rejects, and leaves nothing running, when none can be. */
  async start(): Promise<void> {
    const before = this.#predecessor;
    try {
      await (before === undefined ? this.#startAlone() : this.#follow(before));
    } catch (error) {
      if (before === undefined) await this.#agent.stop();
      else {
        await this.#agent.handOver();
        await before.failed((error as Error).message);
      }
      await this.#close();
      throw error;
    }
    const unwanted = this.#sockets.keep(wantedBy(this.config));
    if (unwanted.length > 0) this.log.info({ unwanted }, 'inherited sockets that nobody wants');
    this.log.info({ listeners: this.listeners, admin: this.adminUrl }, 'node is up');
    this.#manager.ready(this.#serving());
    if (this.#watchdogMs !== undefined) {
      const isAlive = () => this.#supervisor.isAlive();
      this.#manager.watch(this.#watchdogMs, isAlive, 'no worker answers');
    }
  }

  async #startAlone(): Promise<void> {
    const { config } = this;
    await this.#sockets.open(wantedBy(config));
    if (config.admin !== null) this.#admin = await this.#openAdmin(config.admin);
    // First, so that every session of this node is known from its beginning.
    await this.#agent.start(this.#supervisor.loaded);
    await this.#supervisor.start();
  }

  /** The same while another release serves; the admin address is that one's until the end. */
  async #follow(before: Predecessor): Promise<void> {
    const { config } = this;
    const { ticketKeys, counts, unhealthy } = await before.hello();
    const keys = ticketKeys.map((key) => new Uint8Array(Buffer.from(key, 'base64')));
    // Of those that nobody checks any more nobody would ever say that they recovered.
    const checked = new Set(healthTargetsOf(config).map(({ key }) => key));
    const known = unhealthy.filter(({ key }) => checked.has(key));
    this.#supervisor.carryOver(keys, counts, known);
    await this.#sockets.open(wantedBy(config));
    await this.#agent.prepare(this.#supervisor.loaded);
    await before.needAgent();
    this.#isFollowing = true;
    await this.#agent.start(this.#supervisor.loaded);
    await this.#supervisor.start(true);
    this.#isFollowing = false;
    await before.ready();
    if (config.admin !== null) this.#admin = await this.#openAdmin(config.admin);
  }

  /** Reads the configuration again. A refused one is logged and changes nothing. */
  async reload(): Promise<void> {
    await this.#reload().catch(() => undefined); // The supervisor has logged why.
  }

  /**
   * Lets a new release take over: its workers accept from the same sockets, those of this one finish
   * what they have. Rejects with `ERR_UPGRADE` or `ERR_RELEASE_FILE`, and nothing is changed then.
   * @param file `bin/holdfast.js` of the release. Default: what is now in the place of this one.
   */
  upgrade(file?: string): Promise<Upgraded> {
    return this.#succession.upgrade(file);
  }

  /** Leaves service and ends every worker. Resolves to the number of connections cut. */
  async drain(): Promise<number> {
    const { deadlineMs } = this.config.drain;
    this.#predecessor?.drain();
    if (this.#succession.isReplaced) {
      const cut = await this.#supervisor.drain();
      await this.ended;
      return cut;
    }
    this.log.info({ deadlineMs }, 'node drains');
    this.#manager.stopping(`draining, ${deadlineMs / 1_000} s at most`);
    await this.#succession.giveUp();
    // Sessions go on while the routes move away; with nothing announced this takes no time.
    await this.#agent.drain();
    this.#health?.stop();
    // From here on connections are refused, rather than left waiting for nobody.
    this.#sockets.keep(wantedBy(this.config).filter(({ purpose }) => purpose === 'admin'));
    const cut = await this.#supervisor.drain();
    await this.#olderGone(deadlineMs + OLDER_GRACE_MS);
    // Last: until here packets of this node's sessions were brought to it.
    await this.#agent.stop();
    this.log.info({ cut }, 'node is down');
    await this.#close();
    return cut;
  }

  /** Ends everything at once. */
  cut(): void {
    this.log.warn('node ends now, open connections are cut');
    this.#nodeLog.flushSync();
    this.#predecessor?.cut();
    this.#supervisor.cut();
    this.#agent.kill();
  }

  #makePredecessor(): Predecessor {
    return new Predecessor(this.log, {
      onGiveUp: () => void this.#abandon(),
      onEnded: (metrics) => void this.#supervisor.bury(metrics),
    });
  }

  #makeSuccession(inheritance: Inheritance): Succession {
    return new Succession({
      log: this.log,
      inheritance,
      version: version(),
      readyMs: () => this.config.upgrade.readyMs,
      refusal: () => {
        const { state } = this.#supervisor;
        if (state !== 'running') return `the node is ${state}`;
        return this.#agent.isDraining
          ? 'the node is draining: say "holdfast resume" first'
          : undefined;
      },
      older: async () => (await this.#predecessor?.collect(false))?.releases.length ?? 0,
      sockets: () => this.#sockets.all,
      hello: () => {
        const { ticketKeys, ...legacy } = this.#supervisor.legacy;
        const keys = ticketKeys.map((key) => Buffer.from(key).toString('base64'));
        return { type: 'hello', protocol: PROTOCOL, ticketKeys: keys, ...legacy };
      },
      endAgent: () => this.#agent.handOver(),
      restartAgent: () => this.#agent.takeBack(),
      replaced: (pid) => this.#replaced(pid),
      asked: (message) => void this.#asked(message),
    });
  }

  /** The running release does not want this one any more. */
  async #abandon(): Promise<void> {
    await this.#agent.handOver();
    await this.#predecessor?.gaveUp();
    await this.#supervisor.drain();
    await this.#close();
    this.#ended.resolve(1);
  }

  /** Another process is the node from now on; this one finishes what it has. */
  #replaced(pid: number): void {
    this.#manager.mainProcess(pid);
    this.#manager.unwatch();
    this.#health?.stop();
    this.#admin?.close();
    this.#sockets.keep([]);
    void this.#finish();
  }

  async #finish(): Promise<void> {
    const cut = await this.#supervisor.retire(this.config.upgrade.deadlineMs);
    await this.#predecessor?.gone;
    const { metrics } = await this.#supervisor.remains(true);
    await this.#succession.farewell({ type: 'ended', metrics });
    this.log.info({ cut }, 'nothing is left of this release');
    await this.#close();
    this.#ended.resolve(0);
  }

  /** What the release that followed wants from this one. */
  async #asked(message: ToPredecessor): Promise<void> {
    switch (message.type) {
      case 'collect': {
        const remains = await this.#supervisor.remains(message.metrics);
        this.#succession.tell({ type: 'collected', id: message.id, ...remains });
        return;
      }
      case 'reopen':
        this.#predecessor?.reopen();
        this.#supervisor.reopenLogs();
        return;
      case 'drain':
        this.#predecessor?.drain();
        await this.#supervisor.drain();
        return;
      case 'cut':
        this.#predecessor?.cut();
        this.#supervisor.cut();
    }
  }

  /** They were told to drain; those that do not end in time are cut. */
  async #olderGone(patienceMs: number): Promise<void> {
    if (this.#predecessor === undefined) return;
    const timer = setTimeout(() => this.#predecessor?.cut(), patienceMs);
    await this.#predecessor.gone;
    clearTimeout(timer);
  }

  #serving(): string {
    return `node ${this.config.node} serves ${this.listeners.join(' ')}`;
  }

  async #close(): Promise<void> {
    clearInterval(this.#edgeWord);
    this.#manager.unwatch();
    this.#health?.stop();
    this.#admin?.cut();
    this.#sockets.keep([]);
    await this.#nodeLog.close();
  }

  /** New addresses are opened before those that go are closed. */
  async #prepare(next: Config): Promise<Preparation> {
    const before = this.config;
    await this.#sockets.open(wantedBy(next));
    const abort = () => {
      this.#sockets.keep(wantedBy(before));
    };
    const admin = await this.#nextAdmin(before, next).catch((error: unknown) => {
      abort();
      throw error;
    });
    return {
      commit: () => {
        this.log.level = next.logLevel;
        if (admin !== this.#admin) {
          this.#admin?.close();
          this.#admin = admin;
        }
        this.#sockets.keep(wantedBy(next));
      },
      abort: () => {
        if (admin !== this.#admin) admin?.cut();
        abort();
      },
    };
  }

  /** The server in use when its address stays. */
  async #nextAdmin(before: Config, next: Config): Promise<AdminServer | undefined> {
    if (nameOf(before.admin) === nameOf(next.admin)) return this.#admin;
    return next.admin === null ? undefined : await this.#openAdmin(next.admin);
  }

  async #openAdmin(listener: Listener): Promise<AdminServer> {
    const server = new AdminServer(listener, this.#adminSource(), {
      ...this.#agent.routes,
      '/upgrade': { method: 'POST', answer: ({ body }) => this.#upgradeAnswer(body) },
    });
    await server.listen(this.#sockets.handleOf(listener, 'admin'));
    return server;
  }

  #checkHealth(config: Config): void {
    const targets = healthTargetsOf(config);
    if (this.#health !== undefined) {
      this.#health.update(targets);
      return;
    }
    this.#health = new HealthChecker({
      targets,
      unhealthy: this.#supervisor.legacy.unhealthy,
      log: this.log,
      onChange: (key, originId, healthy) =>
        this.#supervisor.healthChanged({ key, originId, healthy }),
    });
    this.#health.start();
  }

  async #reload(): Promise<Reloaded> {
    if (this.#succession.isUnderWay || this.#succession.isReplaced) {
      const message = 'an upgrade is under way: reload when it is done';
      this.log.error({ reason: message }, 'reload refused, nothing changed');
      throw new HoldfastError(message, { code: 'ERR_RELOAD', source: 'usage', retryable: true });
    }
    this.#manager.reloading();
    try {
      const reloaded = await this.#supervisor.reload();
      const { loaded } = this.#supervisor;
      this.#logWarnings(loaded);
      this.#predecessor?.reopen();
      // The edge has taken it over; the agent follows.
      void this.#agent.apply(loaded);
      this.#manager.ready(this.#serving());
      return reloaded;
    } catch (error) {
      this.#manager.ready(`${this.#serving()}; reload refused: ${(error as Error).message}`);
      throw error;
    }
  }

  #logWarnings(loaded: LoadedConfig): void {
    for (const warning of loaded.warnings) {
      this.log.warn({ problem: warning }, formatProblem(warning));
    }
  }

  #adminSource(): AdminSource {
    const supervisor = this.#supervisor;
    const ok = (body: unknown): AdminAnswer => ({ status: 200, body });
    return {
      healthz: async () => {
        // Asked in the moment in which another process became the node.
        if (this.#succession.isReplaced) return ok('ok\n');
        if (supervisor.state !== 'running') return { status: 503, body: `${supervisor.state}\n` };
        return supervisor.serves ? ok('ok\n') : { status: 503, body: 'no worker is up\n' };
      },
      status: async () => {
        const [status, agent] = await Promise.all([supervisor.status(), this.#agent.status()]);
        return ok(agent === undefined ? status : { ...status, agent });
      },
      metrics: async () => {
        const { text, contentType } = await supervisor.metrics(() => this.#ownMetrics.snapshot());
        return { status: 200, body: `${text}${await this.#agent.metrics()}`, contentType };
      },
      config: async () => ok(redacted(supervisor.config, supervisor.loaded.secrets)),
      reload: () => this.#reloadAnswer(),
    };
  }

  async #reloadAnswer(): Promise<AdminAnswer> {
    try {
      const { changes, warnings } = await this.#reload();
      return { status: 200, body: { changes, warnings } };
    } catch (error) {
      if (error instanceof ConfigError) {
        return { status: 422, body: { error: 'invalid configuration', problems: error.problems } };
      }
      if (error instanceof HoldfastError) {
        return { status: 409, body: { error: error.message, code: error.code } };
      }
      throw error;
    }
  }

  async #upgradeAnswer(body: string): Promise<AdminAnswer> {
    try {
      return { status: 200, body: await this.upgrade(releaseFileIn(body)) };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      const status = error instanceof ReleaseFileError ? 422 : 409;
      return { status, body: { error: error.message, code: error.code } };
    }
  }
}

/** The program of another process, as this one was loaded: source or compiled. */
function programFile(path: string): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`${path}${extension}`, import.meta.url));
}

function nameOf(listener: Listener | null): string {
  return listener === null ? 'off' : formatListener(listener);
}

export {
  type ConfigOrigin,
  checkRoutePatterns,
  type Inheritance,
  loadNodeConfig,
  type NodeStatus,
  refuseToFollow,
  ServiceManager,
  takeInheritance,
  type Upgraded,
};
