/**
 * The agent of a node: mesh and datapath as one. It carries no user traffic; what it has taught the
 * kernel goes on without it. See docs/design/agent.md.
 */
import type { Logger } from 'pino';
import { formatHostPort } from '../config/address.ts';
import { flowEnds } from '../datapath/address-bytes.ts';
import { Datapath } from '../datapath/datapath.ts';
import { type Check, doctor } from '../datapath/doctor.ts';
import { EventPump } from '../datapath/event-pump.ts';
import { HoldfastError } from '../errors.ts';
import type { FlowKey } from '../proto/ticket-key.ts';
import type { Member, MeshNotice, PeerIndex, PeerTable } from '../sync/core.ts';
import { Directory } from '../sync/directory/directory.ts';
import type { FlowFound } from '../sync/directory/finder.ts';
import type { TicketKeysNotice } from '../sync/key-store.ts';
import { Mesh } from '../sync/mesh.ts';
import { MeshAdmin } from '../sync/mesh-admin.ts';
import { Sessions } from '../sync/sessions.ts';
import { FlowFeed, type FlowTickets } from './flow-feed.ts';
import { Healer, type TraceNotice } from './healer.ts';
import { HomesFeed } from './homes-feed.ts';
import { KernelFill } from './kernel-fill.ts';
import { KernelProbes } from './kernel-probes.ts';
import { logKeyring, logKeysChanged } from './keyring-log.ts';
import { NodeSlots } from './node-slots.ts';
import { nodeTraceOf } from './node-trace.ts';
import { OwnTickets } from './own-tickets.ts';
import { RouteNews } from './route-news.ts';
import type { AgentSettings } from './settings.ts';
import { SwitchedFlows } from './switched-flows.ts';
import type { NodeTrace } from './trace-message.ts';

/** Something that healing needs is missing on this machine. Nothing was changed. */
export class AgentRefusedError extends HoldfastError {
  readonly checks: readonly Check[];

  constructor(checks: readonly Check[]) {
    const missing = checks.filter(({ ok, required }) => required && !ok);
    super(
      `this machine cannot heal sessions yet: ${missing.map(({ name }) => name).join(', ')} (holdfast doctor tells more)`,
      { code: 'ERR_AGENT_REFUSED', source: 'usage', retryable: true },
    );
    this.checks = checks;
  }
}

/** While a silent node may own a flow, unknown ones wait this long. */
const DOUBT_GRACE_MS = 5_000;
/** Longest pause of the event timer while nothing happens. */
const IDLE_MS = 8;
/** With so many events in a round, the next comes later, and flows born in it wait for that. */
const CROWD = 32;
const CHECK_MS = 1_000;

/** Takes the keys that seal TLS session tickets: the first seals, all are accepted. */
export type TicketKeysTaker = (keys: readonly Uint8Array[]) => void;

/** What a flow of another node's answer resolves. */
type TraceTaker = (peer: number, trace: NodeTrace) => void;

export class Agent {
  readonly settings: AgentSettings;
  readonly datapath: Datapath;
  readonly mesh: Mesh;
  readonly directory: Directory;
  readonly sessions: Sessions;
  readonly slots: NodeSlots;
  readonly homes: HomesFeed;
  readonly flows: FlowFeed;
  readonly healer: Healer;
  readonly switched: SwitchedFlows;
  /** What this node and the others announce. */
  readonly routes: RouteNews;
  /** Nodes and keys, for operators. */
  readonly admin: MeshAdmin;
  readonly startedMs = performance.now();
  readonly log: Logger;
  readonly #pump: EventPump;
  readonly #fill: KernelFill;
  readonly #own: OwnTickets;
  readonly #probes: KernelProbes;
  readonly #traces = new Map<number, TraceTaker>();
  readonly #checkTimer: NodeJS.Timeout;
  #traceId = 0;
  #eventsLost: number;
  #stopped = false;

  /**
   * Sets the machine up or takes an earlier agent's work over, and joins the mesh in the background.
   * @param onTicketKeys Called with the TLS ticket keys of all nodes, soon and at each change.
   * @throws AgentRefusedError when the machine lacks something, DatapathError, MeshListenError.
   * What an earlier agent left goes on healing then; what is new is taken away again.
   */
  static async start(
    settings: AgentSettings,
    log: Logger,
    onTicketKeys: TicketKeysTaker = () => undefined,
  ): Promise<Agent> {
    const checks = doctor(settings.datapath);
    if (checks.some(({ ok, required }) => required && !ok)) throw new AgentRefusedError(checks);
    const datapath = Datapath.start(settings.datapath);
    try {
      const parts: Partial<AgentParts> = { onTicketKeys };
      const mesh = await startMesh(settings, datapath, log, parts);
      return new Agent(settings, log, datapath, mesh, parts as AgentParts);
    } catch (error) {
      if (datapath.inherited) datapath.close();
      else datapath.remove();
      throw error;
    }
  }

  private constructor(
    settings: AgentSettings,
    log: Logger,
    datapath: Datapath,
    mesh: Mesh,
    parts: AgentParts,
  ) {
    this.settings = settings;
    this.log = log;
    this.datapath = datapath;
    this.mesh = mesh;
    this.directory = parts.directory;
    this.sessions = parts.sessions;
    this.slots = parts.slots;
    this.homes = parts.homes;
    this.flows = parts.flows;
    this.healer = parts.healer;
    this.switched = parts.switched;
    this.routes = parts.routes;
    this.admin = new MeshAdmin(mesh, (peer) => this.#ticketsOf(peer));
    this.#fill = parts.fill;
    this.#eventsLost = datapath.counts.read().events_lost;
    this.#probes = parts.probes;
    parts.onAnswer = (peer) => this.mesh.act((nowMs) => this.slots.answered(nowMs, peer));
    parts.onBare = (peer) => this.mesh.act((nowMs) => this.slots.bare(nowMs, peer));
    parts.onFound = (found) => this.#found(found);
    parts.onClusterKeys = () => void logKeysChanged(mesh, log);
    void logKeyring(mesh, log);
    parts.onTrace = ({ id, peer, trace }) => this.#traces.get(id)?.(peer, trace);
    this.#own = new OwnTickets(datapath, mesh, this.directory);
    // What the kernel holds from before is published first; until then no home lets go of it.
    void this.#own.publishAll().then((count) => {
      if (this.#stopped) return;
      this.directory.restored();
      if (count > 0) log.info({ flows: count }, 'flows of an earlier agent or none are published');
    });
    this.#pump = new EventPump({ drain: (reader, most) => this.#drain(reader, most) }, this.flows, {
      idleMs: IDLE_MS,
      crowd: CROWD,
      afterRound: () => datapath.tickets.flush(),
    });
    this.#pump.start();
    this.#checkTimer = setInterval(() => this.#check(), CHECK_MS);
  }

  get peers(): PeerTable {
    return this.mesh.peers;
  }

  /** Flows that were there at the start are known to the mesh. */
  get restored(): boolean {
    return this.#own.done;
  }

  /** This node as the mesh tells it. */
  get self(): Member {
    return this.peers.get(this.peers.self)!;
  }

  /** What this node's kernel would do with the next packet of a flow. */
  traceHere(key: FlowKey): NodeTrace {
    return nodeTraceOf(this.datapath, this.peers, this.slots, key);
  }

  /**
   * Asks every live node what it would do with the next packet of a flow.
   * @returns the answers by name, this node's own among them. Who is silent for `waitMs` is missing.
   */
  async trace(key: FlowKey, waitMs: number): Promise<Map<string, NodeTrace>> {
    const answers = new Map<string, NodeTrace>([[this.self.id, this.traceHere(key)]]);
    this.#traceId = (this.#traceId + 1) >>> 0;
    const id = this.#traceId;
    const { promise, resolve } = Promise.withResolvers<void>();
    let missing = 0;
    this.#traces.set(id, (peer, trace) => {
      const name = this.peers.get(peer)?.id;
      if (name === undefined || answers.has(name)) return;
      answers.set(name, trace);
      if (--missing === 0) resolve();
    });
    missing = this.mesh.act((_nowMs, out) => this.healer.askTrace(id, key, out));
    const timer = setTimeout(resolve, waitMs);
    if (missing > 0) await promise;
    clearTimeout(timer);
    this.#traces.delete(id);
    return answers;
  }

  /** Finishes what it has and wants no new: told to all nodes. */
  setDraining(draining: boolean): void {
    this.mesh.declare({ draining });
  }

  /**
   * Says good-bye to the mesh and ends. The kernel goes on healing with what it knows; a later agent
   * takes it over.
   * @param leave False when that one follows at once: then the mesh is not told.
   */
  async stop(leave = true): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#pump.stop();
    this.#fill.stop();
    this.#probes.stop();
    clearInterval(this.#checkTimer);
    await (leave ? this.mesh.leave() : this.mesh.close());
    this.datapath.close();
  }

  /** Flow tickets of a node that are known here; of this node, those it owns. */
  #ticketsOf(peer: PeerIndex): number {
    const { tickets } = this.directory;
    const tenure = peer === this.peers.self ? tickets.own : tickets.tenureOf(peer);
    return tenure?.count ?? 0;
  }

  #drain(reader: FlowFeed | Parameters<Datapath['events']['drain']>[0], most: number): number {
    if (this.datapath.events.isEmpty && !this.flows.holds) return 0;
    return this.mesh.act((nowMs, out) => {
      this.flows.begin(nowMs, out);
      const count = this.datapath.events.drain(reader, most);
      this.flows.settle(count >= CROWD);
      if (count > 0) this.healer.flush(out);
      return count;
    });
  }

  #found({ key, found }: FlowFound): void {
    this.mesh.act((nowMs, out) => {
      this.flows.begin(nowMs, out);
      this.flows.searched(key, found);
    });
  }

  /** The kernel could not tell everything: what it holds is the truth. */
  #check(): void {
    const { events_lost: lost } = this.datapath.counts.read();
    if (lost === this.#eventsLost) return;
    this.log.warn(
      { lost: lost - this.#eventsLost },
      'events of the kernel were lost, reading all flows anew',
    );
    this.#eventsLost = lost;
    void this.#own.publishAll().then(() => this.#own.endStale());
  }
}

/** Made while the mesh starts, because its components need its peers. */
interface AgentParts {
  directory: Directory;
  sessions: Sessions;
  slots: NodeSlots;
  homes: HomesFeed;
  flows: FlowFeed;
  healer: Healer;
  switched: SwitchedFlows;
  routes: RouteNews;
  fill: KernelFill;
  probes: KernelProbes;
  onAnswer: (peer: PeerIndex) => void;
  onBare: (peer: PeerIndex) => void;
  onFound: (found: FlowFound) => void;
  onTrace: (notice: TraceNotice) => void;
  onTicketKeys: TicketKeysTaker;
  onClusterKeys: () => void;
}

async function startMesh(
  settings: AgentSettings,
  datapath: Datapath,
  log: Logger,
  parts: Partial<AgentParts>,
): Promise<Mesh> {
  return await Mesh.start({
    id: settings.node,
    pop: settings.pop,
    ...settings.mesh,
    boot: datapath.boot,
    configDigest: settings.configDigest,
    version: settings.version,
    components: (nowMs, peers, random) => {
      const fill = new KernelFill(datapath.tickets);
      const directory = new Directory(nowMs, {
        peers,
        random: random.fork(),
        changes: fill.changes,
        restoring: true,
        graceMs: settings.graceMs,
        ownsFlow: (key) => holdsFlow(datapath, key),
      });
      const routes = new RouteNews(peers);
      const sessions = new Sessions({ peers, homes: directory.homes });
      const slots = new NodeSlots(nowMs, datapath.nodes, peers, datapath.self);
      const homes = new HomesFeed(
        nowMs,
        directory.homes,
        datapath.homes,
        slots,
        datapath.inherited,
      );
      const switched = switchedFlows(log);
      const probes = new KernelProbes({
        from: settings.datapath.underlay,
        tunnelPort: datapath.options.tunnelPort,
        answered: (peer) => parts.onAnswer?.(peer),
        bare: (peer) => parts.onBare?.(peer),
      });
      const flows = new FlowFeed(directory, wakingTickets(datapath, fill), slots, {
        self: peers.self,
        switched: (key, owner, foundBy) => {
          const { client, vip } = flowEnds(key);
          switched.add(performance.now(), {
            at: new Date().toISOString(),
            client: formatHostPort({ host: client.address, port: client.port }),
            vip: formatHostPort({ host: vip.address, port: vip.port }),
            entry: settings.node,
            owner: (owner === undefined ? undefined : peers.get(owner)?.id) ?? null,
            foundBy,
          });
        },
        hint: (key, entry, owner, out) => parts.healer?.hint(key, entry, owner, out),
        isDoubtful: (now) => slots.isDoubtful(now),
      });
      const healer = new Healer({
        peers,
        slots,
        homes,
        flows,
        trace: (key) => nodeTraceOf(datapath, peers, slots, key),
        changed: (peer, member, change) => {
          const { id, status, address } = member;
          log.info({ member: id, status, address, change }, 'member');
          probes.follow(peer, member, change === 'forgotten');
        },
        doubt: (isDoubtful) => {
          const { graceMs } = settings;
          datapath.graceMs = isDoubtful ? Math.max(graceMs, DOUBT_GRACE_MS) : graceMs;
        },
      });
      fill.start(directory.tickets, flows);
      Object.assign(parts, {
        directory,
        sessions,
        slots,
        homes,
        flows,
        healer,
        switched,
        routes,
        fill,
        probes,
      });
      return [directory, sessions, healer, routes];
    },
    onNotice: (notice: MeshNotice) => {
      if (notice.type === 'flowFound') parts.onFound?.(notice as FlowFound);
      else if (notice.type === 'flowTrace') parts.onTrace?.(notice as TraceNotice);
      else if (notice.type === 'clusterKeys') parts.onClusterKeys?.();
      else if (notice.type === 'ticketKeys') {
        parts.onTicketKeys?.((notice as TicketKeysNotice).secrets);
      }
    },
  });
}

/** Tickets come from many places, some of which know no end of a round. */
function wakingTickets(datapath: Datapath, fill: KernelFill): FlowTickets {
  return {
    learn: (key, owner, source) => {
      datapath.tickets.learn(key, owner, source);
      fill.wake();
    },
    forget: (key) => {
      datapath.tickets.forget(key);
      fill.wake();
    },
  };
}

/** A closed connection's remains answer nobody: a newer flow on the same ports may be elsewhere. */
function holdsFlow(datapath: Datapath, key: FlowKey): boolean {
  const { socket } = datapath.tracer.trace(key);
  return socket !== undefined && !['LISTEN', 'CLOSE', 'TIME_WAIT'].includes(socket);
}

function switchedFlows(log: Logger): SwitchedFlows {
  return new SwitchedFlows(
    (flow) => log.info(flow, 'flow switched'),
    (count) => log.info({ count }, 'further flows switched'),
  );
}
