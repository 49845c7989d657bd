/** The agent process of a node: started, asked, and started again when it crashes. */
import { type ChildProcess, fork } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { AdminAnswer, AdminRoutes } from '../admin/admin-server.ts';
import type { DrainPhase } from '../announce/drain-plan.ts';
import type { EdgeReport } from '../announce/site-health.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { HoldfastError } from '../errors.ts';
import { RestartDelay } from '../supervisor/restart-delay.ts';
import { AGENT_PATHS, ANNOUNCES_NOTHING, type FromAgent, type ToAgent } from './agent-messages.ts';
import type { AgentStatus } from './agent-status.ts';

const ASK_TIMEOUT_MS = 3_000;
/** Good-byes take a second. */
const STOP_TIMEOUT_MS = 5_000;

export interface AgentProcessDeps {
  readonly log: Logger;
  /** The program of the process. */
  readonly file: string;
  readonly version: string;
  /** Takes the keys that seal TLS session tickets on all nodes of the mesh. The first seals. */
  readonly onTicketKeys?: (keys: readonly Uint8Array[]) => void;
  /**
   * Asks the sessions that a drain has left to end, while the node stays. Resolves when they have.
   */
  readonly closeSessions?: () => Promise<void>;
}

const SILENT: AdminAnswer = { status: 503, body: { error: 'the agent does not answer' } };

export class AgentProcess {
  readonly #deps: AgentProcessDeps;
  readonly #delay = new RestartDelay();
  readonly #pending = new Map<number, (answer: AdminAnswer) => void>();
  #loaded: LoadedConfig | undefined;
  #child: ChildProcess | undefined;
  /** Loaded, and not yet told to start. */
  #prepared: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #isUp = false;
  #startedMs = 0;
  #crashes = 0;
  #nextId = 1;
  #draining = false;
  /** Of the drain under way or done, whoever asked for it. */
  #phase: DrainPhase | undefined;
  #onTime: (() => void) | undefined;
  #stopping = false;
  #restartTimer: NodeJS.Timeout | undefined;
  #applying: Promise<void> = Promise.resolve();

  constructor(deps: AgentProcessDeps) {
    this.#deps = deps;
  }

  /** Whether the configuration in force asks for an agent. */
  get isWanted(): boolean {
    return this.#loaded !== undefined;
  }

  /** Whether this node leaves service, or has. */
  get isDraining(): boolean {
    return this.#draining || this.#phase !== undefined;
  }

  /** Whether an agent wants to know how the edge does. */
  get announces(): boolean {
    return this.#loaded?.config.announce !== undefined;
  }

  /** How the edge does; said about once a second. */
  edgeSays(report: EdgeReport): void {
    this.#tell({ type: 'edge', report });
  }

  get crashes(): number {
    return this.#crashes;
  }

  /**
   * Loads the agent's program ahead of {@link start}, when the configuration has an agent, so that
   * between an agent and its successor there is little more than the latter's start. Never rejects.
   */
  async prepare(loaded: LoadedConfig): Promise<void> {
    if (!wantsAgent(loaded.config) || this.#prepared !== undefined) return;
    const child = this.#fork();
    this.#prepared = child;
    await new Promise<void>((resolve) => {
      child.once('message', () => resolve());
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
  }

  /**
   * Starts the agent when the configuration has one, else does nothing. From the first success on,
   * one that crashes is replaced.
   * @throws HoldfastError with what the agent says when it cannot start.
   */
  async start(loaded: LoadedConfig): Promise<void> {
    if (!wantsAgent(loaded.config)) return;
    this.#loaded = loaded;
    try {
      await this.#launch();
    } catch (error) {
      this.#loaded = undefined;
      throw error;
    }
  }

  /** Follows a reloaded configuration: a changed agent is replaced; healed sessions do not notice. */
  apply(loaded: LoadedConfig): Promise<void> {
    // One change after the other: each ends one process and starts another.
    this.#applying = this.#applying.then(() => this.#apply(loaded));
    return this.#applying;
  }

  async #apply(loaded: LoadedConfig): Promise<void> {
    const before = this.#loaded?.config;
    if (!wantsAgent(loaded.config)) {
      if (before !== undefined) await this.#end(true);
      this.#loaded = undefined;
      return;
    }
    if (before !== undefined && isDeepStrictEqual(agentPart(before), agentPart(loaded.config))) {
      return;
    }
    await this.#end(false);
    this.#loaded = loaded;
    await this.#launch().catch((error: Error) => {
      if (this.#stopping) return;
      this.#deps.log.error({ reason: error.message }, 'the agent does not start with it');
      this.#again();
    });
  }

  /** Ends the process without a good-bye: the agent of another release follows at once. */
  async handOver(): Promise<void> {
    await this.#applying;
    await this.#end(false);
  }

  /** After {@link handOver}, when nobody has followed. */
  async takeBack(): Promise<void> {
    if (this.#loaded === undefined) return;
    await this.#launch().catch((error: Error) => {
      this.#deps.log.error({ reason: error.message }, 'the agent does not start again');
      this.#again();
    });
  }

  /**
   * Leaves service on behalf of a node that ends: told to the mesh, announced worse, withdrawn.
   * Resolves when it is time to end sessions: at once without an announcement, or when the agent
   * that announces is gone.
   */
  drain(): Promise<void> {
    this.#draining = true;
    if (!this.isWanted || !this.#isUp) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onTime = resolve;
      this.#tell({ type: 'drain' });
    });
  }

  /** Says good-bye to the mesh and ends the process. The kernel goes on healing. */
  async stop(): Promise<void> {
    await this.#applying;
    await this.#end(true);
    this.#loaded = undefined;
  }

  /** Ends the process at once; one that announces withdraws first, by itself. */
  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    if (this.announces && this.#child?.connected) this.#child.disconnect();
    else this.#child?.kill('SIGKILL');
  }

  /** `undefined` without an agent, `null` when it does not answer. */
  async status(): Promise<AgentStatus | null | undefined> {
    if (!this.isWanted) return undefined;
    const { status, body } = await this.ask('/status');
    return status === 200 ? (body as { agent: AgentStatus }).agent : null;
  }

  /** In Prometheus form; empty when there is none. */
  async metrics(): Promise<string> {
    if (!this.isWanted) return '';
    const { status, body } = await this.ask('/metrics');
    return status === 200 && typeof body === 'string' ? body : '';
  }

  /** Never rejects: an agent that is silent or gone answers 503. */
  ask(path: string, query = '', body = ''): Promise<AdminAnswer> {
    if (!this.isWanted) {
      const error = path.startsWith('/announce')
        ? ANNOUNCES_NOTHING
        : 'this node has no mesh: add "mesh" to its configuration';
      return Promise.resolve({ status: 404, body: { error } });
    }
    if (!this.#isUp) return Promise.resolve(SILENT);
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<AdminAnswer>();
    const timer = setTimeout(() => resolve(SILENT), ASK_TIMEOUT_MS);
    this.#pending.set(id, resolve);
    this.#tell({ type: 'ask', id, path, query, body });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#pending.delete(id);
    });
  }

  /** The agent's API, for the node's admin server. */
  get routes(): AdminRoutes {
    const routes = Object.entries(AGENT_PATHS).map(([path, method]) => [
      path,
      {
        method,
        answer: ({ query, body }: { query: URLSearchParams; body: string }) =>
          this.ask(path, query.toString(), body),
      },
    ]);
    return Object.fromEntries(routes) as AdminRoutes;
  }

  /** Resolves when the new process is up; rejects with what it says when it cannot start. */
  #launch(): Promise<void> {
    const loaded = this.#loaded;
    if (loaded === undefined) return Promise.resolve();
    this.#stopping = false;
    this.#startedMs = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const child = this.#takePrepared() ?? this.#fork();
    this.#child = child;
    let failure = new HoldfastError('the agent ended while it started', {
      code: 'ERR_AGENT_START',
      source: 'internal',
      retryable: true,
    });
    child.on('message', (message: FromAgent) => {
      if (message.type === 'answer') this.#pending.get(message.id)?.(message.answer);
      else if (message.type === 'ticketKeys') this.#deps.onTicketKeys?.(message.keys);
      else if (message.type === 'up') {
        this.#isUp = true;
        this.#deps.log.info({ agentPid: child.pid }, 'agent is up');
        if (this.#draining) this.#tell({ type: 'drain' });
        resolve();
      } else if (message.type === 'loaded') {
        // It has been told to start already.
      } else if (message.type === 'drain') void this.#drained(message.phase);
      else {
        const { code, message: text } = message;
        failure = new HoldfastError(text, { code, source: 'internal', retryable: false });
      }
    });
    // A broken channel is the agent's death, which 'exit' tells.
    child.on('error', () => undefined);
    this.#gone = new Promise((gone) => {
      child.once('exit', (code, signal) => {
        const wasUp = this.#isUp;
        this.#isUp = false;
        this.#child = undefined;
        for (const settle of [...this.#pending.values()]) settle(SILENT);
        this.#onTime?.();
        gone();
        if (!wasUp) reject(failure);
        else if (!this.#stopping) {
          this.#deps.log.error(
            { code, signal },
            'agent crashed, replacing it; the kernel heals on',
          );
          this.#crashes += 1;
          this.#again();
        }
      });
    });
    this.#tell({ type: 'start', loaded, version: this.#deps.version });
    return promise;
  }

  #fork(): ChildProcess {
    return fork(this.#deps.file, [], { serialization: 'advanced' });
  }

  /** `undefined` when none was prepared, or when it has died since. */
  #takePrepared(): ChildProcess | undefined {
    const child = this.#prepared;
    this.#prepared = undefined;
    return child?.connected ? child : undefined;
  }

  async #drained(phase: DrainPhase | 'resumed'): Promise<void> {
    this.#phase = phase === 'resumed' ? undefined : phase;
    if (phase !== 'closing' && phase !== 'drained') return;
    this.#onTime?.();
    // A node that ends closes them itself.
    if (phase !== 'closing' || this.#draining) return;
    await this.#deps.closeSessions?.();
    this.#tell({ type: 'closed' });
  }

  /** After a crash, or a start that failed. */
  #again(): void {
    const delayMs = this.#delay.afterDeath(performance.now() - this.#startedMs);
    this.#restartTimer = setTimeout(() => {
      this.#launch().catch((error: Error) => {
        if (this.#stopping) return;
        this.#deps.log.error({ reason: error.message }, 'the agent does not start');
        this.#again();
      });
    }, delayMs);
  }

  async #end(leave: boolean): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    // Without its channel it ends by itself.
    this.#takePrepared()?.disconnect();
    const child = this.#child;
    if (child === undefined) return;
    this.#tell({ type: 'stop', leave });
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#gone;
    clearTimeout(timer);
  }

  #tell(message: ToAgent): void {
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }
}

function wantsAgent(config: Config): boolean {
  return config.mesh !== undefined;
}

/** What an agent reads of a configuration; also what its digest is over. */
function agentPart({
  admin: _,
  accessLog: __,
  workers: ___,
  upgrade: ____,
  ...rest
}: Config): unknown {
  return rest;
}
