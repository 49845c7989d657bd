/**
 * The mesh of one node behind real sockets: a UDP socket, a TCP listener on the same address, one
 * timer and one monotonic clock. Everything is decided in {@link MeshCore}.
 */
import { createSocket, type Socket } from 'node:dgram';
import { HoldfastError } from '../errors.ts';
import type { KeyReport, KeyStorage } from '../proto/key-report.ts';
import { PROTOCOL_MAX, PROTOCOL_MIN } from '../proto/protocol.ts';
import type { Identity } from './cipher-suite.ts';
import type {
  MemberFacts,
  MeshComponent,
  MeshNotice,
  Outbox,
  PeerIndex,
  PeerTable,
} from './core.ts';
import { KeyCensus, type KeyReportNotice } from './key-census.ts';
import {
  type ClusterKeysNotice,
  KEY_STORE_DEFAULTS,
  KeyStore,
  type KeyStoreSettings,
  type TicketKeysNotice,
} from './key-store.ts';
import { Keyring } from './keyring.ts';
import { KeyringFile } from './keyring-file.ts';
import { type StartingRing, startingRing } from './keyring-state.ts';
import { MeshCore } from './mesh-core.ts';
import { nodeCipher } from './node-cipher.ts';
import { Random } from './random.ts';
import { MEMBERSHIP_DEFAULTS, type MembershipSettings } from './settings.ts';
import { parseSocketAddress, type SocketAddress, socketAddressText } from './socket-address.ts';
import { Streams } from './streams.ts';

export interface MeshOptions {
  /** Name of this node, unique in the mesh. */
  readonly id: string;
  /** Default: the id. */
  readonly pop?: string;
  /** IP address and port to bind, UDP and TCP. Port 0 lets the system choose. */
  readonly listen: string;
  /** What others shall call, when it differs from `listen` (address translation). */
  readonly advertise?: string;
  /** Addresses of some other nodes; our own among them is ignored. */
  readonly join?: readonly string[];
  /** Cluster keys, 32 bytes each; the first is used, all are accepted. */
  readonly keys: readonly Uint8Array[];
  /**
   * Absolute name of the file that keeps cluster keys which came over the wire. It goes before
   * `keys`: see {@link startingRing}. Default: they are lost at the end of the process.
   */
  readonly keyringFile?: string;
  /** Keeps clusters apart. Default `holdfast`. */
  readonly label?: string;
  /** One life of this node's kernel sockets: the same for two processes after one another. */
  readonly boot: number;
  readonly configDigest?: number;
  readonly version?: string;
  readonly identity?: Identity;
  /** Public identities by name; when given, no other node is let in. */
  readonly identities?: ReadonlyMap<string, Uint8Array>;
  readonly settings?: Partial<MembershipSettings>;
  readonly keySettings?: Partial<KeyStoreSettings>;
  /** Further components, say the flow-ticket directory. */
  readonly components?: (
    nowMs: number,
    peers: PeerTable,
    random: Random,
  ) => readonly MeshComponent[];
  /** Everything that happens, called outside of any core. */
  readonly onNotice?: (notice: MeshNotice | ClusterKeysNotice | TicketKeysNotice) => void;
  /** For tests and benchmarks: answers false for a datagram that shall be lost. */
  readonly datagramFilter?: (direction: 'in' | 'out') => boolean;
}

/** The mesh cannot listen where it should. Nothing was started. */
export class MeshListenError extends HoldfastError {
  constructor(address: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`The mesh cannot listen on ${address}: ${reason}`, {
      code: 'ERR_MESH_LISTEN',
      source: 'usage',
      retryable: true,
      cause,
    });
  }
}

/** Kernel buffers; a burst of a whole mesh fits. */
const SOCKET_BUFFER_BYTES = 4_194_304;
/** Longest sleep: streams are swept at least this often. */
const SWEEP_MS = 1_000;
/** How long a good-bye is repeated before the sockets close. */
const LEAVE_MS = 1_000;
const ANY_PORT_TRIES = 8;

export interface MeshSocketCounters {
  sendErrors: number;
  socketErrors: number;
}

export class Mesh {
  readonly core: MeshCore;
  readonly keys: KeyStore;
  readonly streams: Streams;
  readonly socketCounters: MeshSocketCounters = { sendErrors: 0, socketErrors: 0 };
  /** Where cluster keys are kept; `undefined` when nowhere. */
  readonly keyringFile: KeyringFile | undefined;
  /** With which cluster keys this process began. */
  readonly startingRing: StartingRing;
  readonly #census: KeyCensus;
  readonly #startGeneration: number;
  readonly #counts = new Map<number, (peer: PeerIndex, report: KeyReport) => void>();
  readonly #socket: Socket;
  readonly #options: MeshOptions;
  readonly #addresses = new Map<string, SocketAddress>();
  readonly #notices: MeshNotice[] = [];
  readonly #ended: [id: string, run: number | undefined][] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #sweepAtMs = 0;
  #closed = false;

  /**
   * Binds and starts. The node joins in the background.
   * @throws MeshListenError when the address is taken or not ours, KeyringFileError when there is a
   * keyring that cannot be used.
   */
  static async start(options: MeshOptions): Promise<Mesh> {
    const at = parseSocketAddress(options.listen);
    if (at === undefined) {
      throw new MeshListenError(options.listen, 'not an IP address with a port');
    }
    const label = options.label ?? 'holdfast';
    const { keyringFile: path } = options;
    const file = path === undefined ? undefined : new KeyringFile(path, label);
    const ring = startingRing(nodeCipher, options.keys, file?.read());
    // A port that the system chose for UDP may be taken for TCP: then another one.
    for (let tries = at.port === 0 ? ANY_PORT_TRIES : 1; ; tries -= 1) {
      const socket = openSocket(at);
      let mesh: Mesh | undefined;
      try {
        await bind(socket, at);
        const { port } = socket.address();
        mesh = new Mesh(options, ring, file, socket, socketAddressText(at.host, port));
        await mesh.streams.listen({ ...at, port });
      } catch (error) {
        socket.close();
        if (tries > 1) continue;
        throw new MeshListenError(options.listen, error);
      }
      mesh.#begin();
      // A ring that was left behind must not come back.
      if (ring.origin === 'replaced') mesh.#storeKeys();
      return mesh;
    }
  }

  private constructor(
    options: MeshOptions,
    ring: StartingRing,
    file: KeyringFile | undefined,
    socket: Socket,
    bound: string,
  ) {
    this.#options = options;
    this.#socket = socket;
    this.keyringFile = file;
    this.startingRing = ring;
    const nowMs = performance.now();
    const keyring = new Keyring(nodeCipher, options.label ?? 'holdfast', ring.secrets);
    this.#startGeneration = keyring.generation;
    const facts: MemberFacts = {
      id: options.id,
      pop: options.pop ?? options.id,
      address: options.advertise ?? bound,
      boot: options.boot,
      run: nodeCipher.randomU32(),
      configDigest: options.configDigest ?? 0,
      version: options.version ?? '',
      protocolMin: PROTOCOL_MIN,
      protocolMax: PROTOCOL_MAX,
      draining: false,
    };
    let keys: KeyStore | undefined;
    let census: KeyCensus | undefined;
    this.core = new MeshCore({
      facts,
      seeds: options.join ?? [],
      label: options.label ?? 'holdfast',
      settings: { ...MEMBERSHIP_DEFAULTS, ...options.settings },
      suite: nodeCipher,
      keyring,
      identity: options.identity,
      identities: options.identities,
      random: new Random(nodeCipher.randomU32()),
      nowMs,
      world: {
        datagram: (address, bytes) => this.#send(address, bytes),
        stream: (address, id, channel, body) => this.streams.send(address, id, channel, body),
        notify: (notice) => this.#notices.push(notice),
      },
      components: (peers, random) => {
        const settings = { ...KEY_STORE_DEFAULTS, ...options.keySettings };
        keys = new KeyStore(nowMs, peers, keyring, nodeCipher, random.fork(), settings, ring);
        census = new KeyCensus(peers, () => this.#keyReport());
        const others = options.components?.(nowMs, peers, random.fork()) ?? [];
        return [keys, census, endOfLives((id, run) => this.#ended.push([id, run])), ...others];
      },
    });
    this.keys = keys!;
    this.#census = census!;
    const host = {
      up: (remote: Parameters<MeshCore['streamUp']>[1], called: boolean) =>
        this.#drive((now) => this.core.streamUp(now, remote, called)),
      message: (remote: Parameters<MeshCore['streamUp']>[1], channel: number, body: Uint8Array) =>
        this.#drive((now) => this.core.streamMessage(now, remote.id, remote.run, channel, body)),
      down: (id: string) => this.#drive((now) => this.core.streamDown(now, id)),
    };
    this.streams = new Streams(this.core, keyring, host, () => performance.now());
  }

  /** Where others reach this node. */
  get address(): string {
    return this.core.membership.self.address;
  }

  get peers(): PeerTable {
    return this.core.peers;
  }

  /** Runs a local call of a component; what it puts into the outbox is sent. */
  act<T>(call: (nowMs: number, out: Outbox) => T): T {
    let result: T | undefined;
    this.#drive((nowMs) => {
      result = this.core.act(nowMs, call);
    });
    return result as T;
  }

  /** Changes what this node says about itself: draining, digest of its configuration, version. */
  declare(facts: Partial<Pick<MemberFacts, 'draining' | 'configDigest' | 'version'>>): void {
    this.#drive((nowMs) => this.core.declare(nowMs, facts));
  }

  /** Where the cluster keys of this node would be found by its next process. */
  get keyStorage(): KeyStorage {
    const state = this.keyringFile?.state ?? 'empty';
    if (state !== 'empty') return state;
    if (this.core.keyring.generation === this.#startGeneration) return 'configured';
    return this.keyringFile === undefined ? 'nowhere' : 'storing';
  }

  /**
   * Asks all nodes for their cluster keys.
   * @returns what they answered by name, this node's own answer among it. Who is silent for `waitMs`
   * is missing.
   */
  async keyReports(waitMs: number): Promise<Map<string, KeyReport>> {
    const reports = new Map<string, KeyReport>();
    const { promise, resolve } = Promise.withResolvers<void>();
    const { ask, asked } = this.act((_nowMs, out) => this.#census.ask(out));
    this.#counts.set(ask, (peer, report) => {
      const id = this.peers.get(peer)?.id;
      if (id === undefined) return;
      reports.set(id, report);
      if (reports.size === asked) resolve();
    });
    const timer = setTimeout(resolve, waitMs);
    if (asked > 0) await promise;
    clearTimeout(timer);
    this.#counts.delete(ask);
    return reports.set(this.core.membership.self.id, { ask, ...this.#keyReport() });
  }

  /** Says good-bye, repeats it for a second, then closes. */
  async leave(): Promise<void> {
    this.#drive((nowMs) => this.core.leave(nowMs));
    await new Promise((resolve) => {
      setTimeout(resolve, LEAVE_MS);
    });
    await this.close();
  }

  /** Closes without a word: the others find out. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.keyringFile?.settled();
    await this.streams.close();
    await new Promise<void>((resolve) => {
      this.#socket.close(() => resolve());
    });
  }

  #begin(): void {
    this.#socket.on('message', (bytes, from) => {
      if (this.#options.datagramFilter?.('in') === false) return;
      const address = socketAddressText(from.address, from.port);
      this.#drive((nowMs) => this.core.receive(nowMs, bytes, address));
    });
    this.#socket.on('error', () => {
      this.socketCounters.socketErrors += 1;
    });
    this.#arm();
  }

  /** Every way into the core: gives it the time, then sets the timer and hands notices out. */
  #drive(call: (nowMs: number) => void): void {
    if (this.#closed) return;
    call(performance.now());
    // Not from within the core: a stream that closes tells it so.
    while (this.#ended.length > 0) this.streams.drop(...this.#ended.pop()!);
    this.#arm();
    for (const notice of this.#notices.splice(0)) {
      if (notice.type === 'clusterKeys') this.#storeKeys();
      if (notice.type === 'keyReport') {
        const { peer, report } = notice as KeyReportNotice;
        this.#counts.get(report.ask)?.(peer, report);
      } else this.#options.onNotice?.(notice);
    }
  }

  #keyReport(): Omit<KeyReport, 'ask'> {
    const { keyring } = this.core;
    return {
      used: keyring.used.id,
      ids: keyring.keys().map(({ id }) => id),
      ticketEpoch: this.keys.counters.ticketKeyEpoch,
      storage: this.keyStorage,
    };
  }

  #storeKeys(): void {
    const { keyring } = this.core;
    const others = keyring.keys().filter((key) => key !== keyring.used);
    this.keyringFile?.save({
      label: this.#options.label ?? 'holdfast',
      secrets: [keyring.used, ...others].map(({ secret }) => secret),
      ...this.keys.state,
    });
  }

  #arm(): void {
    const atMs = this.core.nextWakeupMs();
    // A timer that fires too early costs less than setting a new one after every datagram.
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const waitMs = Math.min(Math.max(atMs - nowMs, 0), SWEEP_MS);
    this.#timerAtMs = nowMs + waitMs;
    this.#timer = setTimeout(() => this.#wake(), waitMs);
  }

  #wake(): void {
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    if (nowMs >= this.#sweepAtMs) {
      this.#sweepAtMs = nowMs + SWEEP_MS;
      this.streams.sweep();
    }
    if (this.core.nextWakeupMs() <= nowMs) this.#drive((now) => this.core.tick(now));
    else this.#arm();
  }

  #send(address: string, bytes: Uint8Array): void {
    if (this.#closed || this.#options.datagramFilter?.('out') === false) return;
    let to = this.#addresses.get(address);
    if (to === undefined) {
      to = parseSocketAddress(address);
      if (to === undefined) {
        this.socketCounters.sendErrors += 1;
        return;
      }
      if (this.#addresses.size > 4_096) this.#addresses.clear();
      this.#addresses.set(address, to);
    }
    this.#socket.send(bytes, to.port, to.host, (error) => {
      if (error) this.socketCounters.sendErrors += 1;
    });
  }
}

/**
 * Watches for lives that end. TCP would go on repeating itself to a node that is gone, and after a
 * partition it would wait up to minutes before it tries again.
 */
function endOfLives(ended: (id: string, newRun: number | undefined) => void): MeshComponent {
  return {
    channels: [],
    counters: {},
    handle(_nowMs, event) {
      if (event.type !== 'member') return;
      const { change, member } = event;
      if (change === 'dead' || change === 'left') ended(member.id, undefined);
      else if (change === 'run' || change === 'boot') ended(member.id, member.run);
    },
    nextWakeupMs: () => undefined,
  };
}

function openSocket(at: SocketAddress): Socket {
  return createSocket({
    type: at.family === 6 ? 'udp6' : 'udp4',
    ipv6Only: at.family === 6,
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    // Addresses only: no name is ever looked up, and no tick is lost on it.
    lookup: (host, _options, done) => done(null, host, at.family),
  });
}

function bind(socket: Socket, at: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}
