/** What an agent answers to `holdfast status`, `nodes`, `trace` and Prometheus. */
import type { Registry } from 'prom-client';
import type { AdminAnswer, AdminRequest, AdminRoutes, AdminSource } from '../admin/admin-server.ts';
import { AddressError, formatHostPort, type HostPort, parseHostPort } from '../config/address.ts';
import { flowKey } from '../datapath/address-bytes.ts';
import { DatapathError } from '../datapath/datapath-error.ts';
import type { Agent } from './agent.ts';
import type { AgentAnnounce } from './agent-announce.ts';
import { agentMetrics } from './agent-metrics.ts';
import { agentStatus, type FlowReport } from './agent-status.ts';
import { announceRoutes } from './announce-routes.ts';
import { meshRoutes } from './mesh-routes.ts';

/** Other nodes' answers to a trace are waited for this long. */
const TRACE_WAIT_MS = 1_000;
const VIPS_MAX = 16;

export class AgentApi {
  readonly #agent: Agent;
  readonly #metrics: Registry;
  readonly #config: unknown;
  readonly #announce: AgentAnnounce | undefined;

  /** @param config As it may be shown. */
  constructor(agent: Agent, config: unknown, announce?: AgentAnnounce) {
    this.#agent = agent;
    this.#announce = announce;
    this.#metrics = agentMetrics(agent, announce);
    this.#config = config;
  }

  /** What every node answers. */
  get source(): AdminSource {
    const ok = (body: unknown): AdminAnswer => ({ status: 200, body });
    return {
      healthz: async () => {
        const { state } = agentStatus(this.#agent, this.#announce);
        return state === 'running' ? ok('ok\n') : { status: 503, body: `${state}\n` };
      },
      status: async () => ok({ agent: agentStatus(this.#agent, this.#announce) }),
      metrics: async () => this.#scrape(),
      config: async () => ok(this.#config),
      reload: async () => ({
        status: 409,
        body: {
          error:
            'an agent reads its configuration at the start: restart it, healed sessions do not notice',
        },
      }),
    };
  }

  /** What agents alone answer. */
  get routes(): AdminRoutes {
    return {
      ...meshRoutes(this.#agent.admin),
      ...announceRoutes(this.#announce),
      '/trace': { method: 'GET', answer: (request) => this.#trace(request) },
    };
  }

  async #scrape(): Promise<AdminAnswer> {
    const body = await this.#metrics.metrics();
    return { status: 200, body, contentType: this.#metrics.contentType };
  }

  async #trace({ query }: AdminRequest): Promise<AdminAnswer> {
    try {
      const client = parseHostPort(query.get('client') ?? '');
      const named = query.get('vip');
      const all = named === null ? this.#agent.settings.vips : [named];
      const vips = all
        .map((text) => parseHostPort(text))
        .filter(({ host }) => host.includes(':') === client.host.includes(':'))
        .slice(0, VIPS_MAX);
      if (vips.length === 0) {
        return { status: 400, body: { error: 'no VIP is of the client’s address family' } };
      }
      const flows = await Promise.all(vips.map((vip) => this.#flow(client, vip)));
      return { status: 200, body: { flows } };
    } catch (error) {
      if (!(error instanceof AddressError || error instanceof DatapathError)) throw error;
      return { status: 400, body: { error: error.message } };
    }
  }

  async #flow(client: HostPort, vip: HostPort): Promise<FlowReport> {
    const agent = this.#agent;
    const key = flowKey(
      { address: client.host, port: client.port },
      { address: vip.host, port: vip.port },
    );
    const answers = await agent.trace(key, TRACE_WAIT_MS);
    const here = agent.traceHere(key);
    const nodes = [...answers]
      .map(([node, trace]) => ({ node, ...trace }))
      .sort((a, b) => (a.node < b.node ? -1 : 1));
    // A connection beats what is left of one, and that beats a handshake that may be a stray's.
    const holder =
      nodes.find(({ how }) => how === 'socket') ??
      nodes.find(({ socket }) => socket === 'NEW_SYN_RECV') ??
      nodes.find(({ socket }) => socket === 'TIME_WAIT');
    const silent = agent.admin
      .nodes()
      .nodes.filter(({ id, state }) => state !== 'left' && !answers.has(id))
      .map(({ id }) => id);
    return {
      client: formatHostPort(client),
      vip: formatHostPort(vip),
      bucket: here.bucket,
      owner: holder?.node ?? null,
      ownerBoot: holder?.boot ?? null,
      homes: here.homes,
      nodes,
      silent,
    };
  }
}
