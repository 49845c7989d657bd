/** An agent with its log and its admin server: what `holdfast agent` runs. */
import { AdminServer } from '../admin/admin-server.ts';
import { redacted } from '../admin/redaction.ts';
import type { DrainPhase } from '../announce/drain-plan.ts';
import { removeMarker } from '../announce/marker.ts';
import type { EdgeReport } from '../announce/site-health.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { AnnounceConfig } from '../config/schema.ts';
import { removeDatapath } from '../datapath/datapath.ts';
import { type NodeLog, openLog } from '../supervisor/log.ts';
import { Agent, type TicketKeysTaker } from './agent.ts';
import { AgentAnnounce } from './agent-announce.ts';
import { AgentApi } from './agent-api.ts';
import { type AgentSettings, agentSettings } from './settings.ts';

export type AgentOverrides = NonNullable<Parameters<typeof loadConfig>[1]>['overrides'];

/** Reads a configuration for an agent: no sites are needed. Throws {@link ConfigError}. */
export function loadAgentConfig(file: string, overrides: AgentOverrides = []): LoadedConfig {
  return loadConfig(file, { purpose: 'agent', overrides });
}

/** An edge beside the agent. */
export interface BesideEdge {
  /** For its TLS servers. */
  readonly onTicketKeys: TicketKeysTaker;
  /** A drain got on. In `closing`, {@link AgentNode.sessionsClosed} is waited for. */
  readonly onDrain: (phase: DrainPhase | 'resumed') => void;
}

export class AgentNode {
  readonly settings: AgentSettings;
  readonly #loaded: LoadedConfig;
  readonly #nodeLog: NodeLog;
  readonly #edge: BesideEdge | undefined;
  #agent: Agent | undefined;
  #announce: AgentAnnounce | undefined;
  #admin: AdminServer | undefined;

  /**
   * @param loaded As {@link loadAgentConfig} gives it.
   * @param version Of holdfast.
   * @param edge Default: none, the agent is alone.
   */
  constructor(loaded: LoadedConfig, version: string, edge?: BesideEdge) {
    this.#loaded = loaded;
    this.#edge = edge;
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
    const agent = await Agent.start(this.settings, this.log, this.#edge?.onTicketKeys);
    this.#agent = agent;
    if (config.announce !== undefined) await this.#startAnnouncing(agent, config.announce);
    const api = new AgentApi(agent, redacted(config, secrets), this.#announce);
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

  /** How the edge beside this agent does. */
  edgeSays(report: EdgeReport): void {
    this.#announce?.edgeSays(report);
  }

  /** The node ends afterwards. @returns false when it announces nothing. */
  async drain(): Promise<boolean> {
    if (this.#announce === undefined) return false;
    await this.#announce.announcement.drain(undefined, false);
    return true;
  }

  /** What `onDrain('closing')` asked for is done. */
  sessionsClosed(): void {
    this.#announce?.announcement.closed();
  }

  /**
   * The kernel goes on healing; the next agent takes it over.
   * @param leave False when that follows at once: then the mesh is not told.
   * @param withdraw Whether nobody serves any more. Else what is announced stays so for the
   * dead-man time, in which the next agent may follow.
   */
  async stop(leave = true, withdraw = false): Promise<void> {
    this.log.info({ leave, withdraw }, 'agent ends; the kernel goes on healing');
    await this.#announce?.stop(withdraw);
    await this.#agent?.stop(leave);
    this.#admin?.cut();
    await this.#nodeLog.close();
  }

  async #startAnnouncing(agent: Agent, config: AnnounceConfig): Promise<void> {
    try {
      const edge = this.#edge;
      const onDrain = edge === undefined ? undefined : edge.onDrain;
      this.#announce = await AgentAnnounce.start(agent, config, onDrain);
    } catch (error) {
      await agent.stop();
      throw error;
    }
  }
}

/** Takes away what any earlier agent made: programs, maps, devices, mount. */
export async function removeHealing(settings: AgentSettings): Promise<void> {
  await removeMarker();
  removeDatapath(settings.datapath);
}
