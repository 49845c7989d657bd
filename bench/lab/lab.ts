/** A running lab: the only file that knows how all of its parts come up. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { popConfig, routerConfig } from './bird/config.ts';
import { Bird } from './bird/daemon.ts';
import { bgpProgress } from './bird/protocols.ts';
import { runCommand, tryCommand } from './command.ts';
import { Daemon, insideNamespace, waitUntil } from './daemons.ts';
import { LabError } from './errors.ts';
import { APP_PORT, FILES_PORT, filesConfig } from './origin/files.ts';
import { startTicks } from './process-table.ts';
import type { Progress } from './progress.ts';
import { createLabDirectory, type LabRecord, type StoredLab, writeRecord } from './record.ts';
import {
  BgpControl,
  type FlipMethod,
  KernelRouteControl,
  type RouteControl,
} from './route/control.ts';
import { scriptPath } from './scripts.ts';
import { nginxArgv } from './servers/nginx.ts';
import { hostPort, type ServerDriver } from './servers/server.ts';
import { type Removed, removeLab } from './teardown.ts';
import { anycastTopology, type Family, type PopPlan, type Topology } from './topology.ts';
import { linkCommands, namespaceCommands, namespaceName, nodeCommands, sysctls } from './wiring.ts';

export const VIP_PORT = 80;
const BGP_TIMEOUT_MS = 30_000;
const SERVER_TIMEOUT_MS = 20_000;

export interface LabOptions {
  readonly server: ServerDriver;
  /** The address family of the clients and of the connections to the origins. */
  readonly family: Family;
  readonly pops: number;
  readonly progress: Progress;
  /** True when the lab shall stay after this process: `lab up`. */
  readonly keep?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export class Lab {
  readonly topology: Topology;
  readonly options: LabOptions;
  readonly stored: StoredLab;
  #router: Bird | undefined;
  readonly #popBirds: Bird[] = [];
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
    const topology = anycastTopology({ pops: options.pops });
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
    return join(this.directory(this.#origin.name), 'content');
  }

  /** Where clients find the VIP, without a path. */
  get baseUrl(): string {
    return `http://${hostPort(this.topology.vip[this.options.family], VIP_PORT)}`;
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

  /** What the router's BIRD says, for an error about routes. */
  async routerFailure(what: string): Promise<LabError> {
    return this.#router === undefined
      ? new LabError(what, 'ERR_LAB_ROUTE')
      : await this.#router.daemon.failure(what);
  }

  get #origin() {
    const [origin] = this.topology.origins;
    if (origin === undefined) throw new LabError('the lab has no origin', 'ERR_LAB_COMMAND');
    return origin;
  }

  async #build(): Promise<void> {
    const { progress, signal } = this.options;
    progress.step(`lab ${this.id}: making ${this.topology.nodes.length} network namespaces`);
    await this.#wire();
    signal?.throwIfAborted();
    progress.step('starting BIRD and the origin');
    const [originDaemons] = await Promise.all([this.#startOrigin(), this.#startBirds()]);
    await this.#waitForOrigin(originDaemons);
    const serverDaemons = await this.#startServers();
    await this.#waitForBgp();
    await this.#waitForServers(serverDaemons);
  }

  async #wire(): Promise<void> {
    const { topology, id } = this;
    const batch = (argv: string[], lines: readonly string[]) =>
      lines.length === 0
        ? Promise.resolve('')
        : runCommand([...argv, '-batch', '-'], { input: lines.map((l) => `${l}\n`).join('') });
    await batch(['ip'], namespaceCommands(topology, id));
    await Promise.all(
      topology.nodes.map((node) => {
        const settings = Object.entries(sysctls(node.kind)).map(
          ([key, value]) => `${key}=${value}`,
        );
        const argv = ['sysctl', '-q', '-w', ...settings];
        return runCommand(insideNamespace(this.namespace(node.name), argv));
      }),
    );
    await batch(['ip'], linkCommands(topology, id));
    await Promise.all(
      topology.nodes.map(async (node) => {
        await batch(['ip', '-n', this.namespace(node.name)], nodeCommands(topology, node));
        await mkdir(this.directory(node.name));
      }),
    );
  }

  async #startBirds(): Promise<void> {
    const start = (node: string, config: (logFile: string) => string) => {
      const directory = this.directory(node);
      return Bird.start(node, this.namespace(node), directory, config(Bird.logFile(directory)));
    };
    this.#router = await start('router', (log) => routerConfig(this.topology, log));
    for (const pop of this.topology.pops) {
      this.#popBirds.push(await start(pop.name, (log) => popConfig(this.topology, pop, log)));
    }
  }

  async #startOrigin(): Promise<Daemon[]> {
    const { name } = this.#origin;
    const directory = this.directory(name);
    const namespace = this.namespace(name);
    await mkdir(this.contentDirectory);
    await writeFile(join(directory, 'nginx.conf'), filesConfig(directory, this.contentDirectory));
    return await Promise.all([
      Daemon.start({
        title: `nginx on ${name}`,
        namespace,
        argv: nginxArgv(directory),
        logFile: join(directory, 'nginx.log'),
      }),
      Daemon.start({
        title: `the application on ${name}`,
        namespace,
        argv: [process.execPath, scriptPath('./origin/app.ts'), String(APP_PORT)],
        logFile: join(directory, 'app.log'),
      }),
    ]);
  }

  async #waitForOrigin(daemons: readonly Daemon[]): Promise<void> {
    const address = this.#origin.address[this.options.family];
    for (const port of [FILES_PORT, APP_PORT]) {
      await this.#waitForHealth(
        this.#origin.name,
        `http://${hostPort(address, port)}/health`,
        daemons,
        `${this.#origin.name} does not answer on port ${port}`,
      );
    }
  }

  async #startServers(): Promise<Daemon[]> {
    const { server, family, progress } = this.options;
    progress.step(`starting ${server.name} on ${this.topology.pops.length} PoPs`);
    const origin = this.#origin.address[family];
    return await Promise.all(
      this.topology.pops.map(async (pop) => {
        const directory = join(this.directory(pop.name), 'server');
        await mkdir(directory);
        const { files, argv, environment } = server.plan({
          node: pop.name,
          directory,
          listen: ([4, 6] as const).map((f) => ({
            host: this.topology.vip[f],
            port: VIP_PORT,
            family: f,
          })),
          files: [hostPort(origin, FILES_PORT)],
          app: [hostPort(origin, APP_PORT)],
        });
        for (const [name, text] of Object.entries(files)) {
          await writeFile(join(directory, name), text);
        }
        return await Daemon.start({
          title: `${server.name} on ${pop.name}`,
          namespace: this.namespace(pop.name),
          argv,
          logFile: join(directory, 'server.log'),
          ...(environment === undefined ? {} : { environment }),
        });
      }),
    );
  }

  /** A server is ready when the VIP, asked inside its PoP, brings the origin's answer. */
  async #waitForServers(daemons: readonly Daemon[]): Promise<void> {
    const { server, progress } = this.options;
    let ready = 0;
    const wait = async (pop: PopPlan, daemon: Daemon) => {
      const complaint = `${server.name} on ${pop.name} does not serve ${this.baseUrl}/health`;
      await this.#waitForHealth(pop.name, `${this.baseUrl}/health`, [daemon], complaint);
      ready += 1;
      progress.step(`waiting for ${server.name}: ${ready} of ${daemons.length} PoPs serve the VIP`);
    };
    await Promise.all(daemons.map((daemon, index) => wait(this.topology.pops[index]!, daemon)));
  }

  async #waitForHealth(
    node: string,
    url: string,
    daemons: readonly Daemon[],
    complaint: string,
  ): Promise<void> {
    const argv = ['curl', '-q', '-g', '-s', '-f', '-m', '2', '-o', '/dev/null', url];
    const inside = insideNamespace(this.namespace(node), argv);
    await waitUntil(async () => (await tryCommand(inside)).code === 0, {
      complaint,
      timeoutMs: SERVER_TIMEOUT_MS,
      daemons,
      signal: this.options.signal,
    });
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
