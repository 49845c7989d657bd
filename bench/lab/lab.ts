/** A running lab: the only file that knows how all of its parts come up. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { popConfig, routerConfig } from './bird/config.ts';
import { Bird } from './bird/daemon.ts';
import { bgpProgress } from './bird/protocols.ts';
import { type Daemon, waitUntil } from './daemons.ts';
import type { LongLinks } from './delay/impair.ts';
import { LabError } from './errors.ts';
import { startExabgp } from './exabgp/daemon.ts';
import { startOrigin } from './origin/start.ts';
import { startTicks } from './process-table.ts';
import type { Progress } from './progress.ts';
import { createLabDirectory, type LabRecord, type StoredLab, writeRecord } from './record.ts';
import {
  BgpControl,
  type FlipMethod,
  KernelRouteControl,
  type RouteControl,
} from './route/control.ts';
import { makeCertificate, type TlsFiles, tlsFiles } from './servers/certificate.ts';
import { hostPort, type ServerDriver } from './servers/server.ts';
import { startServers, waitForServers } from './servers/start.ts';
import { type Removed, removeLab } from './teardown.ts';
import {
  anycastTopology,
  type Family,
  type HostPlan,
  type PopPlan,
  type Span,
  TLS_PORT,
  type Topology,
  VIP_PORT,
} from './topology.ts';
import { wire } from './wire.ts';
import { namespaceName } from './wiring.ts';

const BGP_TIMEOUT_MS = 30_000;

export interface LabOptions {
  readonly server: ServerDriver;
  /** The address family of the clients and of the connections to the origins. */
  readonly family: Family;
  readonly pops: number;
  /** Between clients and router, each way. Default 0. */
  readonly delayMs?: number;
  /** Frames lost between clients and router, each way, percent. Default 0. */
  readonly lossPercent?: number;
  /** Between any two PoPs, each way. Default 0. */
  readonly backboneDelayMs?: number;
  /** Spans whose length or loss a scenario will change. */
  readonly changing?: Readonly<Partial<Record<Span, boolean>>>;
  /** Of what long links lose. Default 1. */
  readonly seed?: number;
  /** Processes of the server under test in each PoP, where it can have several. Default 1. */
  readonly workers?: number;
  /** Interval of BFD between PoPs and router; 0, the default, for none. */
  readonly bfdMs?: number;
  /** Who announces when healing is on: the lab, or holdfast through a daemon. Default `lab`. */
  readonly announcing?: 'lab' | 'bird' | 'exabgp';
  /** Where the agent runs: beside the server, or within it where that is holdfast. Default `beside`. */
  readonly agent?: 'beside' | 'within';
  /** The VIP serves https on port 443, too. Default false. */
  readonly tls?: boolean;
  readonly progress: Progress;
  /** True when the lab shall stay after this process: `lab up`. */
  readonly keep?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export class Lab {
  readonly topology: Topology;
  readonly options: LabOptions;
  readonly stored: StoredLab;
  /** A scenario has changed more of the network than the route. */
  disturbed = false;
  /** Links whose length can change; `undefined` when none is long. */
  longLinks: LongLinks | undefined;
  /** PoPs that a scenario has switched off. */
  readonly crashed = new Set<PopPlan>();
  #router: Bird | undefined;
  readonly #popBirds: Bird[] = [];
  readonly #servers = new Map<PopPlan, Daemon>();
  #removed = false;

  private constructor(topology: Topology, options: LabOptions, stored: StoredLab) {
    this.topology = topology;
    this.options = options;
    this.stored = stored;
  }

  /**
   * Builds everything and returns when all BGP sessions are up and every PoP serves the VIP.
   * Removes what it made when it fails or is aborted.
   */
  static async up(options: LabOptions): Promise<Lab> {
    const { pops, delayMs = 0, lossPercent = 0, backboneDelayMs = 0, changing = {} } = options;
    const links = { delayMs, lossPercent, backboneDelayMs, changing };
    const topology = anycastTopology({ pops, ...links });
    const { id, directory } = await createLabDirectory();
    const record: LabRecord = {
      id,
      namespaces: topology.nodes.map((node) => namespaceName(id, node.name)),
      server: options.server.name,
      pops: topology.pops.length,
      family: options.family,
      createdAt: new Date().toISOString(),
      runner: { pid: process.pid, startTicks: (await startTicks(process.pid)) ?? 0 },
    };
    await writeRecord(directory, record);
    const lab = new Lab(topology, options, { directory, record });
    try {
      await lab.#build();
      if (options.keep === true) {
        const { runner: _, ...kept } = record;
        await writeRecord(directory, kept);
      }
      return lab;
    } catch (error) {
      options.progress.step('removing what was made');
      await lab.down();
      throw error;
    }
  }

  get id(): string {
    return this.stored.record.id;
  }

  /** Removes everything. May be called again. */
  async down(): Promise<Removed> {
    if (this.#removed) return { namespaces: 0, processes: 0 };
    this.#removed = true;
    return await removeLab(this.stored);
  }

  namespace(node: string): string {
    return namespaceName(this.id, node);
  }

  /** A node's own directory for files and sockets. */
  directory(node: string): string {
    return join(this.stored.directory, node);
  }

  /** Files that the origin serves under `/files/`. */
  get contentDirectory(): string {
    return join(this.directory(this.origin.name), 'content');
  }

  /** Where clients find the VIP, without a path. */
  get baseUrl(): string {
    return `http://${hostPort(this.vip, this.port)}`;
  }

  /** Where clients find the VIP by https; `undefined` when nowhere. */
  get tls(): (TlsFiles & { readonly baseUrl: string }) | undefined {
    if (this.options.tls !== true) return undefined;
    return { ...tlsFiles(this), baseUrl: `https://${hostPort(this.vip, TLS_PORT)}` };
  }

  /** The VIP in the family of the clients. */
  get vip(): string {
    return this.topology.vip[this.options.family];
  }

  /** Port of the VIP that the server under test serves. */
  get port(): number {
    return this.options.server.port ?? VIP_PORT;
  }

  routeControl(method: FlipMethod): RouteControl {
    return method === 'bgp'
      ? new BgpControl(this.#popBirds)
      : new KernelRouteControl(this.topology, this.namespace('router'));
  }

  /** Undoes whatever a scenario did to the routes. */
  async restoreRoutes(): Promise<void> {
    await Promise.all([this.routeControl('route').restore(), this.routeControl('bgp').restore()]);
  }

  /** Control socket of a node's BIRD. */
  birdSocket(node: string): string {
    return Bird.socket(this.directory(node));
  }

  /** No static route announces the VIP any more: somebody else does. */
  async fallSilent(): Promise<void> {
    await new BgpControl(this.#popBirds).silence();
  }

  /** What the router's BIRD says, for an error about routes. */
  async routerFailure(what: string): Promise<LabError> {
    return this.#router === undefined
      ? new LabError(what, 'ERR_LAB_ROUTE')
      : await this.#router.daemon.failure(what);
  }

  /** The first origin; it serves everything. */
  get origin(): HostPlan {
    const [origin] = this.topology.origins;
    if (origin === undefined) throw new LabError('the lab has no origin', 'ERR_LAB_COMMAND');
    return origin;
  }

  async #build(): Promise<void> {
    const { progress, signal, server } = this.options;
    const { nodes, pops } = this.topology;
    progress.step(`lab ${this.id}: making ${nodes.length} network namespaces`);
    const { directory } = this.stored;
    const seed = this.options.seed ?? 1;
    this.longLinks = await wire(this.topology, { id: this.id, directory, seed });
    await Promise.all(nodes.map((node) => mkdir(this.directory(node.name))));
    signal?.throwIfAborted();
    progress.step('starting BIRD and the origin');
    await Promise.all([startOrigin(this), this.#startBirds()]);
    signal?.throwIfAborted();
    progress.step(`starting ${server.name} on ${pops.length} PoPs`);
    if (this.options.tls === true) await makeCertificate(this);
    await this.#startServers(pops);
    await this.#waitForBgp();
    await this.#waitForServers(pops);
  }

  /** Starts BIRD and the server of a PoP in which nothing runs, and waits until both serve. */
  async startPop(pop: PopPlan): Promise<void> {
    this.#popBirds[pop.rank] = await this.#startPopBird(pop);
    await this.#startServers([pop]);
    await this.#waitForBgp();
    await this.#waitForServers([pop]);
  }

  /** Ends the server of a PoP, if it runs. */
  async stopServer(pop: PopPlan): Promise<void> {
    await this.#servers.get(pop)?.end();
    this.#servers.delete(pop);
  }

  /** Starts the server of a PoP and waits until it serves. Does nothing when it runs. */
  async startServer(pop: PopPlan): Promise<void> {
    if (this.#servers.has(pop)) return;
    await this.#startServers([pop]);
    await this.#waitForServers([pop]);
  }

  async #startServers(pops: readonly PopPlan[]): Promise<void> {
    const daemons = await startServers(this, pops);
    for (const [index, pop] of pops.entries()) this.#servers.set(pop, daemons[index]!);
  }

  async #waitForServers(pops: readonly PopPlan[]): Promise<void> {
    await waitForServers(
      this,
      pops,
      pops.map((pop) => this.#servers.get(pop)!),
    );
  }

  async #startBirds(): Promise<void> {
    const directory = this.directory('router');
    const config = routerConfig(this.topology, Bird.logFile(directory), this.options);
    this.#router = await Bird.start('router', this.namespace('router'), directory, config);
    for (const pop of this.topology.pops) this.#popBirds.push(await this.#startPopBird(pop));
  }

  async #startPopBird(pop: PopPlan): Promise<Bird> {
    const directory = this.directory(pop.name);
    const config = popConfig(this.topology, pop, Bird.logFile(directory), this.options);
    if (this.options.announcing === 'exabgp') await startExabgp(this, pop);
    return await Bird.start(pop.name, this.namespace(pop.name), directory, config);
  }

  /** The router has a session per PoP and family; all must exchange routes. */
  async #waitForBgp(): Promise<void> {
    const { progress, signal } = this.options;
    const router = this.#router!;
    const daemons = [router.daemon, ...this.#popBirds.map((bird) => bird.daemon)];
    let shown = -1;
    const ready = async () => {
      const { established, total } = bgpProgress(await router.protocols());
      if (established !== shown) {
        shown = established;
        progress.step(`waiting for BGP: ${established} of ${total} sessions established`);
      }
      return total > 0 && established === total;
    };
    await waitUntil(ready, {
      complaint: 'not all BGP sessions came up',
      timeoutMs: BGP_TIMEOUT_MS,
      daemons,
      signal,
    });
  }
}
