/** An agent with its log and its admin server: what `holdfast agent` runs. */
import { AdminServer } from '../admin/admin-server.ts';
import { redacted } from '../admin/redaction.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import { removeDatapath } from '../datapath/datapath.ts';
import { type NodeLog, openLog } from '../supervisor/log.ts';
import { Agent, type TicketKeysTaker } from './agent.ts';
import { AgentApi } from './agent-api.ts';
import { type AgentSettings, agentSettings } from './settings.ts';

export type AgentOverrides = NonNullable<Parameters<typeof loadConfig>[1]>['overrides'];

/** Reads a configuration for an agent: no sites are needed. Throws {@link ConfigError}. */
export function loadAgentConfig(file: string, overrides: AgentOverrides = []): LoadedConfig {
  return loadConfig(file, { purpose: 'agent', overrides });
}

export class AgentNode {
  readonly settings: AgentSettings;
  readonly #loaded: LoadedConfig;
  readonly #nodeLog: NodeLog;
  readonly #onTicketKeys: TicketKeysTaker | undefined;
  #agent: Agent | undefined;
  #admin: AdminServer | undefined;

  /**
   * @param loaded As {@link loadAgentConfig} gives it.
   * @param version Of holdfast.
   * @param onTicketKeys For the TLS servers of this node.
   */
  constructor(loaded: LoadedConfig, version: string, onTicketKeys?: TicketKeysTaker) {
    this.#loaded = loaded;
    this.#onTicketKeys = onTicketKeys;
    this.settings = agentSettings(loaded.config, version);
    const { node } = this.settings;
    this.#nodeLog = openLog(loaded.config.logLevel, { node, pid: process.pid, part: 'agent' });
    for (const warning of loaded.warnings) {
      this.log.warn({ problem: warning }, formatProblem(warning));
    }
  }

  get log(): NodeLog['log'] {
    return this.#nodeLog.log;
  }

  /** `http://127.0.0.1:2019`, or `undefined` when it is off or not started. */
  get adminUrl(): string | undefined {
    return this.#admin?.url;
  }

  /**
   * Starts healing.
   * @param withAdmin False when somebody else answers for this agent; see {@link api}.
   * @throws as {@link Agent.start}, and `ERR_LISTEN` for the admin address.
   */
  async start(withAdmin = true): Promise<AgentApi> {
    const { config, secrets } = this.#loaded;
    const agent = await Agent.start(this.settings, this.log, this.#onTicketKeys);
    this.#agent = agent;
    const api = new AgentApi(agent, redacted(config, secrets));
    if (withAdmin && config.admin !== null) {
      this.#admin = new AdminServer(config.admin, api.source, api.routes);
      try {
        await this.#admin.listen();
      } catch (error) {
        this.#admin = undefined;
        await this.stop();
        throw error;
      }
    }
    const { inherited, boot } = agent.datapath;
    const { address } = agent.mesh;
    this.log.info({ mesh: address, boot, inherited, admin: this.adminUrl }, 'agent is up');
    return api;
  }

  /** Tells all nodes that this one finishes what it has. */
  setDraining(draining: boolean): void {
    this.#agent?.setDraining(draining);
  }

  /**
   * The kernel goes on healing; the next agent takes it over.
   * @param leave False when that follows at once: then the mesh is not told.
   */
  async stop(leave = true): Promise<void> {
    this.log.info({ leave }, 'agent ends; the kernel goes on healing');
    await this.#agent?.stop(leave);
    this.#admin?.cut();
    await this.#nodeLog.close();
  }
}

/** Takes away what any earlier agent made: programs, maps, tunnel device, mount. */
export function removeHealing(settings: AgentSettings): void {
  removeDatapath(settings.datapath);
}
