/** The agent of a node without a datapath: a mesh that shares keys and session records. */
import type { AdminAnswer, AdminRoutes, AdminSource } from '../admin/admin-server.ts';
import { redacted } from '../admin/redaction.ts';
import type { LoadedConfig } from '../config/load.ts';
import { COUNTS, type CountName, VERDICTS, type VerdictName } from '../datapath/verdicts.ts';
import { type NodeLog, openLog } from '../supervisor/log.ts';
import type { MemberStatus } from '../sync/core.ts';
import { MeshNode } from '../sync/mesh-node.ts';
import type { TicketKeysTaker } from './agent.ts';
import { meshMetrics } from './agent-metrics.ts';
import { type AgentStatus, driftReasons } from './agent-status.ts';
import { announceRoutes } from './announce-routes.ts';
import { logKeyring, logKeysChanged } from './keyring-log.ts';
import { meshRoutes } from './mesh-routes.ts';
import { type MeshPart, meshPart } from './settings.ts';

const NO_FLOWS: AgentStatus['flows'] = {
  searches: 0,
  foundOwner: 0,
  foundDead: 0,
  foundNobody: 0,
  searchesRefused: 0,
  ticketsRefused: 0,
  hintsGiven: 0,
  hintsTaken: 0,
  halfOpenGivenUp: 0,
  flowsUntold: 0,
};

export class MeshAgentNode {
  readonly settings: MeshPart;
  readonly #loaded: LoadedConfig;
  readonly #nodeLog: NodeLog;
  readonly #onTicketKeys: TicketKeysTaker;
  readonly #startedMs = performance.now();
  #node: MeshNode | undefined;

  /**
   * @param loaded With `mesh`.
   * @param version Of holdfast.
   * @param onTicketKeys For the TLS servers of this node.
   */
  constructor(loaded: LoadedConfig, version: string, onTicketKeys: TicketKeysTaker) {
    this.#loaded = loaded;
    this.#onTicketKeys = onTicketKeys;
    this.settings = meshPart(loaded.config, version);
    const { node } = this.settings;
    this.#nodeLog = openLog(loaded.config.logLevel, { node, pid: process.pid, part: 'agent' });
  }

  get log(): NodeLog['log'] {
    return this.#nodeLog.log;
  }

  /** Joins the mesh in the background. @throws MeshListenError, KeyringFileError. */
  async start(_withAdmin: false): Promise<{ source: AdminSource; routes: AdminRoutes }> {
    const { node: id, pop, version, mesh, configDigest } = this.settings;
    const node = await MeshNode.start({
      ...mesh,
      id,
      pop,
      version,
      configDigest,
      onTicketKeys: this.#onTicketKeys,
      onMember: (member, change) => this.log.info({ member, change }, 'member'),
      onClusterKeys: () => void logKeysChanged(node.mesh, this.log),
    });
    this.#node = node;
    void logKeyring(node.mesh, this.log);
    this.log.info({ mesh: node.mesh.address }, 'agent is up, without a datapath');
    return {
      source: this.#source(node),
      routes: { ...meshRoutes(node.admin), ...announceRoutes(undefined) },
    };
  }

  /** Tells all nodes that this one finishes what it has. */
  setDraining(draining: boolean): void {
    this.#node?.mesh.declare({ draining });
  }

  /** @param leave False when another agent follows at once: then the mesh is not told. */
  async stop(leave = true): Promise<void> {
    this.log.info({ leave }, 'agent ends');
    await (leave ? this.#node?.leave() : this.#node?.close());
    await this.#nodeLog.close();
  }

  #source(node: MeshNode): AdminSource {
    const { config, secrets } = this.#loaded;
    const metrics = meshMetrics({
      settings: this.settings,
      mesh: node.mesh,
      directory: node.directory,
      sessions: node.sessions,
    });
    const ok = (body: unknown): AdminAnswer => ({ status: 200, body });
    return {
      healthz: async () => ok('ok\n'),
      status: async () => ok({ agent: this.#status(node) }),
      metrics: async () => ({
        status: 200,
        body: await metrics.metrics(),
        contentType: metrics.contentType,
      }),
      config: async () => ok(redacted(config, secrets)),
      reload: async () => ({ status: 409, body: { error: 'reload the node, not its agent' } }),
    };
  }

  /** As every agent tells it; what only a datapath has is zero. */
  #status({ mesh, directory, admin }: MeshNode): AgentStatus {
    const members: Record<MemberStatus, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };
    for (const peer of mesh.peers.indices()) members[mesh.peers.get(peer)!.status]++;
    const { node, pop, version } = this.settings;
    const zeros = <T extends string>(names: readonly (readonly [T, string])[]) =>
      Object.fromEntries(names.map(([name]) => [name, 0])) as Record<T, number>;
    return {
      state: 'running',
      degraded: [
        ...(members.suspect > 0 ? [`${members.suspect} nodes are suspect`] : []),
        ...(members.dead > 0 ? [`${members.dead} nodes are dead`] : []),
        ...driftReasons(admin.nodes()),
      ],
      node,
      pop,
      version,
      pid: process.pid,
      uptimeMs: Math.round(performance.now() - this.#startedMs),
      boot: mesh.core.membership.self.boot,
      inherited: false,
      vips: [],
      members,
      homes: { nodes: members.alive + members.suspect, settling: directory.homes.unsettled },
      tickets: { owned: 0, kept: 0, halfOpen: 0 },
      switched: { total: 0, recent: [] },
      announce: null,
      flows: NO_FLOWS,
      verdicts: zeros<VerdictName>(VERDICTS),
      troubles: zeros<CountName>(COUNTS),
    };
  }
}
