/**
 * Does the machine of a silent agent still run? Its kernel answers a call to the mesh's port, even
 * with a refusal. Then its sessions live, and its datapath takes relayed packets without any agent,
 * if it is still there: a kernel without it refuses a datagram to the tunnel's port.
 */
import { createSocket, type Socket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { Member, PeerIndex } from '../sync/core.ts';
import { parseSocketAddress } from '../sync/socket-address.ts';

const EVERY_MS = 500;
const TIMEOUT_MS = 400;
/** A node silent for longer is not called any more. */
const WATCH_MS = 120_000;
const WATCHED_MAX = 64;
/** What a kernel says when nobody listens. */
/** No head of VXLAN, so that a tunnel drops it. */
const NOTHING = Buffer.alloc(8);
const ANSWERS: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ECONNRESET']);

interface Watched {
  readonly host: string;
  readonly port: number;
  readonly sinceMs: number;
  calling: boolean;
  /** Refused a datagram to the tunnel's port: removed, or the machine has started anew. */
  isBare: boolean;
  /** Its error is the refusal. */
  readonly tunnel: Socket;
}

export interface KernelProbeOptions {
  /** This node's underlay address. */
  readonly from: string;
  /** UDP port of the tunnel, on all nodes. */
  readonly tunnelPort: number;
  /** The machine runs, and nothing says that its datapath is gone. */
  readonly answered: (peer: PeerIndex) => void;
  /** The machine runs without a datapath: nothing can be delivered to it. */
  readonly bare: (peer: PeerIndex) => void;
}

export class KernelProbes {
  readonly #options: KernelProbeOptions;
  readonly #watched = new Map<PeerIndex, Watched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KernelProbeOptions) {
    this.#options = options;
  }

  get watched(): number {
    return this.#watched.size;
  }

  /** Calls suspect, dead and left members until they are alive again or forgotten. */
  follow(peer: PeerIndex, member: Member, isForgotten: boolean): void {
    if (isForgotten || member.status === 'alive') {
      this.#forget(peer);
      return;
    }
    // As a suspect it was given the benefit of the doubt.
    if (this.#watched.get(peer)?.isBare === true) setImmediate(() => this.#options.bare(peer));
    const at = parseSocketAddress(member.address);
    if (at === undefined || this.#watched.has(peer) || this.#watched.size >= WATCHED_MAX) return;
    const { host, port } = at;
    const tunnel = this.#tunnelTo(peer, host);
    const sinceMs = performance.now();
    this.#watched.set(peer, { host, port, sinceMs, calling: false, isBare: false, tunnel });
    this.#round();
  }

  stop(): void {
    for (const peer of [...this.#watched.keys()]) this.#forget(peer);
    clearTimeout(this.#timer);
  }

  #forget(peer: PeerIndex): void {
    this.#watched.get(peer)?.tunnel.close();
    this.#watched.delete(peer);
  }

  /** Only a connected socket hears of refusals. */
  #tunnelTo(peer: PeerIndex, host: string): Socket {
    const { from, tunnelPort, bare } = this.#options;
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.unref();
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      const watched = this.#watched.get(peer);
      if (code !== 'ECONNREFUSED' || watched?.tunnel !== socket || watched.isBare) return;
      watched.isBare = true;
      bare(peer);
    });
    socket.bind({ address: from }, () => socket.connect(tunnelPort, host));
    socket.on('connect', () => socket.send(NOTHING));
    return socket;
  }

  #round(): void {
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    for (const [peer, watched] of this.#watched) {
      if (nowMs - watched.sinceMs > WATCH_MS) this.#forget(peer);
      else if (!watched.calling) this.#call(peer, watched);
    }
    if (this.#watched.size > 0) this.#timer = setTimeout(() => this.#round(), EVERY_MS);
  }

  #call(peer: PeerIndex, watched: Watched): void {
    const { host, port } = watched;
    watched.calling = true;
    sendIfConnected(watched.tunnel);
    const socket = connect({ host, port, localAddress: this.#options.from });
    const end = (isAnswered: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      if (!watched.calling) return;
      watched.calling = false;
      if (isAnswered && !watched.isBare && this.#watched.get(peer) === watched) {
        this.#options.answered(peer);
      }
    };
    const timer = setTimeout(() => end(false), TIMEOUT_MS);
    socket.on('connect', () => end(true));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => end(ANSWERS.has(code)));
  }
}

function sendIfConnected(socket: Socket): void {
  try {
    socket.remoteAddress();
  } catch {
    return; // Not yet: it sends as soon as it is.
  }
  socket.send(NOTHING);
}
