/** The composition root of a node: the only file that knows all rooms. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type AdminAnswer, AdminServer, type AdminSource } from './admin/admin-server.ts';
import { redacted } from './admin/redaction.ts';
import { AgentProcess } from './agent/agent-process.ts';
import type { CheckFinding } from './config/checks.ts';
import { formatListener, type Listener } from './config/listener.ts';
import { type LoadedConfig, type LoadOptions, loadConfig } from './config/load.ts';
import { ConfigError, formatProblem } from './config/problem.ts';
import type { Config } from './config/schema.ts';
import { HealthChecker } from './edge/health-checker.ts';
import { healthTargetsOf } from './edge/route.ts';
import { RoutePatternError, Router } from './edge/router.ts';
import { HoldfastError } from './errors.ts';
import { ListenSockets, wantedBy } from './supervisor/listen-sockets.ts';
import { type NodeLog, openLog } from './supervisor/log.ts';
import { OwnMetrics } from './supervisor/own-metrics.ts';
import type { NodeStatus } from './supervisor/status.ts';
import { type Preparation, Supervisor } from './supervisor/supervisor.ts';

/** Where a configuration comes from; read again by every reload. */
export interface ConfigOrigin {
  /** `undefined` when everything comes from flags. */
  readonly file: string | undefined;
  readonly overrides: NonNullable<LoadOptions['overrides']>;
}

/** Reads a configuration and checks all of it, route patterns included. Throws {@link ConfigError}. */
export function loadNodeConfig(origin: ConfigOrigin): LoadedConfig {
  return loadConfig(origin.file, { overrides: origin.overrides, check: checkRoutePatterns });
}

/** What the router says of each host and pattern. */
export function checkRoutePatterns(config: Config): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const attempt = (path: string[], sites: Record<string, Record<string, true>>): void => {
    try {
      new Router(sites);
    } catch (error) {
      if (!(error instanceof RoutePatternError)) throw error;
      findings.push({ path, message: error.message, warning: false });
    }
  };
  const all: Record<string, Record<string, true>> = {};
  for (const [host, { routes }] of Object.entries(config.sites)) {
    const before = findings.length;
    attempt(['sites', host], { [host]: {} });
    if (findings.length > before) continue;
    for (const pattern of Object.keys(routes)) {
      attempt(['sites', host, 'routes', pattern], { [host]: { [pattern]: true } });
    }
    all[host] = Object.fromEntries(Object.keys(routes).map((pattern) => [pattern, true as const]));
  }
  // What is right alone may still clash with its neighbour.
  if (findings.length === 0) attempt(['sites'], all);
  return findings;
}

/** The package's version. */
export function version(): string {
  // The compiled file is one directory deeper than its source.
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const text = readFileSync(new URL(place, import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}

/** One node: a supervisor, its admin server, its health checks. */
export class HoldfastNode {
  readonly #origin: ConfigOrigin;
  readonly #nodeLog: NodeLog;
  readonly #supervisor: Supervisor;
  readonly #ownMetrics: OwnMetrics;
  readonly #sockets = new ListenSockets();
  readonly #agent: AgentProcess;
  #admin: AdminServer | undefined;
  #health: HealthChecker | undefined;

  /** @param loaded as {@link loadNodeConfig} gives it for the same origin. */
  constructor(origin: ConfigOrigin, loaded: LoadedConfig) {
    const { config } = loaded;
    const node = config.node ?? '';
    this.#origin = origin;
    this.#nodeLog = openLog(config.logLevel, { node, pid: process.pid });
    this.#supervisor = new Supervisor(loaded, {
      log: this.#nodeLog.log,
      workerFile: programFile('./worker'),
      version: version(),
      load: () => loadNodeConfig(this.#origin),
      socketOf: (listener) => this.#sockets.handleOf(listener),
      prepare: (next) => this.#prepare(next),
      checkHealth: (next) => this.#checkHealth(next),
    });
    this.#agent = new AgentProcess({
      log: this.#nodeLog.log,
      file: programFile('./agent/agent-child'),
      version: version(),
      onTicketKeys: (keys) => this.#supervisor.setTicketKeys(keys),
    });
    const counts = () => this.#supervisor.counts();
    this.#ownMetrics = new OwnMetrics(counts, { version: version(), node });
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

  /** Resolves when every worker is up. Rejects, and leaves nothing running, when none can be. */
  async start(): Promise<void> {
    const { config } = this.#supervisor;
    await this.#sockets.open(wantedBy(config));
    if (config.admin !== null) this.#admin = await this.#openAdmin(config.admin);
    try {
      // First, so that every session of this node is known from its beginning.
      await this.#agent.start(this.#supervisor.loaded);
      await this.#supervisor.start();
    } catch (error) {
      await this.#agent.stop();
      await this.#close();
      throw error;
    }
    this.log.info({ listeners: this.listeners, admin: this.adminUrl }, 'node is up');
  }

  /** Reads the configuration again. A refused one is logged and changes nothing. */
  async reload(): Promise<void> {
    await this.#supervisor.reload().then(
      () => this.#reloaded(),
      () => undefined, // The supervisor has logged why.
    );
  }

  /** Leaves service and ends every worker. Resolves to the number of connections cut. */
  async drain(): Promise<number> {
    this.log.info({ deadlineMs: this.config.drain.deadlineMs }, 'node drains');
    this.#health?.stop();
    this.#agent.drain();
    // From here on connections are refused, rather than left waiting for nobody.
    this.#sockets.keep(wantedBy(this.config).filter(({ purpose }) => purpose === 'admin'));
    const cut = await this.#supervisor.drain();
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
    this.#supervisor.cut();
    this.#agent.kill();
  }

  async #close(): Promise<void> {
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
    const server = new AdminServer(listener, this.#adminSource(), this.#agent.routes);
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
      log: this.log,
      onChange: (key, originId, healthy) =>
        this.#supervisor.healthChanged({ key, originId, healthy }),
    });
    this.#health.start();
  }

  /** The edge has taken a new configuration over; the agent follows. */
  #reloaded(): void {
    const { loaded } = this.#supervisor;
    this.#logWarnings(loaded);
    void this.#agent.apply(loaded);
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
        if (supervisor.state !== 'running') return { status: 503, body: `${supervisor.state}\n` };
        return supervisor.serves ? ok('ok\n') : { status: 503, body: 'no worker is up\n' };
      },
      status: async () => {
        const [status, agent] = await Promise.all([supervisor.status(), this.#agent.status()]);
        return ok(agent === undefined ? status : { ...status, agent });
      },
      metrics: async () => {
        const { text, contentType } = await supervisor.metrics(await this.#ownMetrics.snapshot());
        return { status: 200, body: `${text}${await this.#agent.metrics()}`, contentType };
      },
      config: async () => ok(redacted(supervisor.config, supervisor.loaded.secrets)),
      reload: () => this.#reloadAnswer(),
    };
  }

  async #reloadAnswer(): Promise<AdminAnswer> {
    try {
      const { changes, warnings } = await this.#supervisor.reload();
      this.#reloaded();
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
}

/** The program of another process, as this one was loaded: source or compiled. */
function programFile(path: string): string {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return fileURLToPath(new URL(`${path}${extension}`, import.meta.url));
}

function nameOf(listener: Listener | null): string {
  return listener === null ? 'off' : formatListener(listener);
}

export type { NodeStatus };
