/** What an agent announces: its own observations, its driver, its word to the other nodes. */
import { readFileSync } from 'node:fs';
import { Announcement, type AnnouncementStatus } from '../announce/announcement.ts';
import type { Observation } from '../announce/announcer.ts';
import { BirdDriver } from '../announce/bird-driver.ts';
import { familiesOf } from '../announce/bird-snippet.ts';
import type { DrainPhase } from '../announce/drain-plan.ts';
import type { AnnounceDriver } from '../announce/driver.ts';
import { ExabgpDriver } from '../announce/exabgp-driver.ts';
import { ExecDriver } from '../announce/exec-driver.ts';
import { type CheckResult, httpCheck } from '../announce/http-check.ts';
import { KernelDriver } from '../announce/kernel-driver.ts';
import type { Signal } from '../announce/signals.ts';
import type { EdgeReport } from '../announce/site-health.ts';
import { formatHostPort } from '../config/address.ts';
import type { AnnounceConfig } from '../config/schema.ts';
import { flowKey } from '../datapath/address-bytes.ts';
import type { Agent } from './agent.ts';
import { stateDirectory } from './settings.ts';

/** A supervisor that is silent for longer says nothing about its edge any more. */
const EDGE_SILENCE_MS = 5_000;
const CHECK_MS = 1_000;
/** From nobody: the question is only whether somebody listens. */
const NOBODY = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

export interface AgentAnnounceStatus extends AnnouncementStatus {
  /** What the live nodes announce, this one among them. */
  readonly nodes: readonly {
    readonly node: string;
    readonly state: string;
    readonly offers: string;
  }[];
}

export class AgentAnnounce {
  readonly #agent: Agent;
  readonly #config: AnnounceConfig;
  readonly #vips: readonly { readonly address: string; readonly port: number }[];
  readonly #hasEdge: boolean;
  #announcement: Announcement | undefined;
  #edge: { report: EdgeReport; atMs: number } | undefined;
  #checked: CheckResult | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * Takes over what is announced and begins to decide.
   * @param onDrain Told of each phase of a drain, by an agent with an edge beside it.
   * @throws AnnounceDriverError
   */
  static async start(
    agent: Agent,
    config: AnnounceConfig,
    onDrain?: (phase: DrainPhase | 'resumed') => void,
  ): Promise<AgentAnnounce> {
    const self = new AgentAnnounce(agent, config, onDrain !== undefined);
    if (config.check !== undefined) void self.#check();
    const { rise, fall, improveAfterMs, changesPerMinute, failOpen, deadManMs, drain } = config;
    const { node } = agent.settings;
    self.#announcement = await Announcement.start(
      {
        ...{ rise, fall, improveAfterMs, changesPerMinute, failOpen, deadManMs, drain, node },
        stateDirectory: config.stateDirectory ?? stateDirectory(),
      },
      {
        log: agent.log,
        driver: driverOf(agent, config),
        look: () => self.#look(),
        delivered: () => agent.datapath.verdicts.read().delivered,
        tell: (state, offers) => {
          agent.mesh.act((nowMs, out) => agent.routes.tell(nowMs, state, offers, out));
        },
        setDraining: (draining) => agent.setDraining(draining),
        onDrain: (phase) => onDrain?.(phase),
      },
    );
    return self;
  }

  private constructor(agent: Agent, config: AnnounceConfig, hasEdge: boolean) {
    this.#agent = agent;
    this.#config = config;
    this.#hasEdge = hasEdge;
    this.#vips = agent.settings.datapath.vips;
  }

  /** The part that decides. */
  get announcement(): Announcement {
    return this.#announcement!;
  }

  get status(): AgentAnnounceStatus {
    return { ...this.announcement.status, nodes: this.#agent.routes.notes };
  }

  /** The word of the supervisor, about once a second. */
  edgeSays(report: EdgeReport): void {
    this.#edge = { report, atMs: performance.now() };
  }

  /** @param withdraw See {@link Announcement.stop}. */
  async stop(withdraw: boolean): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#checkTimer);
    await this.#announcement?.stop(withdraw);
  }

  #look(): Observation {
    return {
      signals: this.#signals(),
      othersWell: this.#agent.routes.othersWell,
      sessions: this.#agent.directory.counters.ticketsOwned ?? 0,
      canClose: this.#hasEdge,
    };
  }

  #signals(): Signal[] {
    const agent = this.#agent;
    const own = { shared: false } as const;
    const isReady = agent.restored && agent.homes.published > 0;
    const missing = this.#missingDevices();
    const signals: Signal[] = [
      {
        ...own,
        name: 'agent',
        // What a predecessor left heals on while this one starts.
        good: isReady || agent.datapath.inherited,
        effect: 'down',
        text: 'the agent is starting',
      },
      {
        ...own,
        name: 'datapath',
        good: missing.length === 0,
        effect: 'degraded',
        text: `nothing can be healed without the device ${missing.join(', ')}`,
      },
      {
        ...own,
        name: 'mesh',
        // Clients are served all the same: a worse route would take their sessions to nodes that
        // cannot reach this one.
        good: this.#config.whenIsolated === 'ignore' || !agent.slots.isIsolated(performance.now()),
        effect: 'degraded',
        text: 'this node sees fewer than half of the nodes that lately lived: it is probably cut off',
      },
      ...this.#listenerSignals(),
      ...this.#edgeSignals(),
    ];
    const { check } = this.#config;
    if (check !== undefined) {
      signals.push({
        name: 'check',
        good: this.#checked?.good ?? false,
        effect: check.failing === 'degrade' ? 'degraded' : 'down',
        shared: true,
        text: this.#checked?.text ?? `${check.url}: not asked yet`,
      });
    }
    return signals;
  }

  /** One VIP that answers is worth announcing, if need be. */
  #listenerSignals(): Signal[] {
    const listens = this.#vips.map(({ address, port }) => {
      const nobody = address.includes(':') ? NOBODY[6] : NOBODY[4];
      const key = flowKey({ address: nobody, port: 1 }, { address, port });
      return this.#agent.datapath.tracer.trace(key).socket === 'LISTEN';
    });
    const effect = listens.includes(true) ? 'degraded' : 'down';
    return this.#vips.map(({ address, port }, i): Signal => {
      const vip = formatHostPort({ host: address, port });
      const good = listens[i] ?? false;
      return {
        name: `listener ${vip}`,
        good,
        effect,
        shared: false,
        text: `nobody listens on ${vip}`,
      };
    });
  }

  #edgeSignals(): Signal[] {
    if (!this.#hasEdge) return [];
    const edge = this.#edge;
    const isSilent = edge === undefined || performance.now() - edge.atMs > EDGE_SILENCE_MS;
    const own = { shared: false, name: 'edge' } as const;
    if (isSilent) {
      return [{ ...own, good: false, effect: 'degraded', text: 'the supervisor is silent' }];
    }
    const { accepting, sites } = edge.report;
    return [
      { ...own, good: accepting, effect: 'down', text: 'no worker serves' },
      ...sites.map(
        ({ host, healthy, whenUnhealthy }): Signal => ({
          name: `site ${host}`,
          good: healthy,
          effect: whenUnhealthy === 'withdraw' ? 'down' : 'degraded',
          shared: true,
          text: `no origin of ${host} is healthy`,
        }),
      ),
    ];
  }

  #missingDevices(): string[] {
    const { uplinks, tunnelDevice = 'holdfast0' } = this.#agent.settings.datapath;
    let table: string;
    try {
      // Of this process's namespace, unlike /sys/class/net under a foreign mount.
      table = readFileSync('/proc/self/net/dev', 'latin1');
    } catch {
      return [];
    }
    const names = new Set(table.split('\n').map((line) => line.split(':', 1)[0]?.trim()));
    return [...uplinks, tunnelDevice].filter((name) => !names.has(name));
  }

  async #check(): Promise<void> {
    const { check } = this.#config;
    if (check === undefined || this.#stopped) return;
    this.#checked = await httpCheck(check);
    if (!this.#stopped) this.#checkTimer = setTimeout(() => void this.#check(), CHECK_MS);
  }
}

/** The driver that the configuration names. */
function driverOf(agent: Agent, config: AnnounceConfig): AnnounceDriver {
  const { node, pop } = agent.settings;
  const { driver, deadManMs, socket, exabgp, exec } = config;
  const vips = [...new Set(agent.settings.datapath.vips.map(({ address }) => address))];
  if (driver === 'exabgp' && exabgp !== undefined) {
    const prefixes = exabgp.prefixes.map(({ text }) => text);
    return new ExabgpDriver({ ...exabgp, prefixes, deadManMs });
  }
  if (driver === 'exec' && exec !== undefined) {
    const directory = config.stateDirectory ?? stateDirectory();
    return new ExecDriver({ ...exec, deadManMs, node, pop, stateDirectory: directory });
  }
  if (driver === 'bird') return new BirdDriver(socket, vips, deadManMs);
  return new KernelDriver(familiesOf(vips), deadManMs);
}
