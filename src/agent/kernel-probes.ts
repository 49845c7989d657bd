/**
 * Does the machine of a silent agent still run? Its kernel answers a call to the mesh's port, even
 * with a refusal. Then its sessions live, and its datapath takes relayed packets without any agent.
 */
import { connect } from 'node:net';
import type { Member, PeerIndex } from '../sync/core.ts';
import { parseSocketAddress } from '../sync/socket-address.ts';

const EVERY_MS = 500;
const TIMEOUT_MS = 400;
/** A node silent for longer is not called any more. */
const WATCH_MS = 120_000;
const WATCHED_MAX = 64;
/** What a kernel says when nobody listens. */
const ANSWERS: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ECONNRESET']);

interface Watched {
  readonly host: string;
  readonly port: number;
  readonly sinceMs: number;
  calling: boolean;
}

export class KernelProbes {
  readonly #from: string;
  readonly #answered: (peer: PeerIndex) => void;
  readonly #watched = new Map<PeerIndex, Watched>();
  #timer: NodeJS.Timeout | undefined;

  /** @param from This node's underlay address. */
  constructor(from: string, answered: (peer: PeerIndex) => void) {
    this.#from = from;
    this.#answered = answered;
  }

  get watched(): number {
    return this.#watched.size;
  }

  /** Calls suspect, dead and left members until they are alive again or forgotten. */
  follow(peer: PeerIndex, member: Member, isForgotten: boolean): void {
    if (isForgotten || member.status === 'alive') {
      this.#watched.delete(peer);
      return;
    }
    const at = parseSocketAddress(member.address);
    if (at === undefined || this.#watched.has(peer) || this.#watched.size >= WATCHED_MAX) return;
    const { host, port } = at;
    this.#watched.set(peer, { host, port, sinceMs: performance.now(), calling: false });
    this.#round();
  }

  stop(): void {
    this.#watched.clear();
    clearTimeout(this.#timer);
  }

  #round(): void {
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    for (const [peer, watched] of this.#watched) {
      if (nowMs - watched.sinceMs > WATCH_MS) this.#watched.delete(peer);
      else if (!watched.calling) this.#call(peer, watched);
    }
    if (this.#watched.size > 0) this.#timer = setTimeout(() => this.#round(), EVERY_MS);
  }

  #call(peer: PeerIndex, watched: Watched): void {
    const { host, port } = watched;
    watched.calling = true;
    const socket = connect({ host, port, localAddress: this.#from });
    const end = (isAnswered: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      if (!watched.calling) return;
      watched.calling = false;
      if (isAnswered && this.#watched.get(peer) === watched) this.#answered(peer);
    };
    const timer = setTimeout(() => end(false), TIMEOUT_MS);
    socket.on('connect', () => end(true));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => end(ANSWERS.has(code)));
  }
}
