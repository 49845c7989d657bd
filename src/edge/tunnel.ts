/** Relays bytes between a client and an origin after a `101 Switching Protocols`. */
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Outcome } from './access-log.ts';
import { closeFrame1012, FrameCursor } from './frame-cursor.ts';
import type { RosterEntry } from './roster.ts';
import type { Route } from './route.ts';

/** After our Close frame the client may answer it; then the tunnel is cut. */
const CLOSE_WAIT_MS = 2_000;

/** All plain sockets read into this: what was read is copied or written before the next read. */
const sharedBuffer = Buffer.allocUnsafeSlow(65_536);

export interface TunnelOwner {
  tunnelEnded(tunnel: Tunnel, outcome: Outcome, bytesIn: number, bytesOut: number): void;
}

/**
 * Bytes go through untouched: messages are never re-framed. A side that does not take what it is
 * sent stops the reading of the other; a half-close (FIN) is passed on and the other direction goes on.
 */
export class Tunnel implements RosterEntry {
  place = -1;
  #client: Socket;
  #origin: Socket;
  readonly route: Route;
  readonly #idleMs: number;
  readonly #owner: TunnelOwner;
  readonly #cursor = new FrameCursor();
  #bytesIn = 0;
  #bytesOut = 0;
  #seenBytes = 0;
  #seenAtMs: number;
  #outcome: Outcome = 'done';
  /** 'asked': close at the next frame boundary. 'sent': our Close frame is out. */
  #closing: 'no' | 'asked' | 'sent' = 'no';
  #closingSinceMs = 0;
  #open = 2;

  /**
   * @param client,origin open sockets; the tunnel owns them from now on.
   * @param owner is told once, when both sockets are closed.
   */
  constructor(options: {
    client: Socket;
    origin: Socket;
    route: Route;
    idleMs: number;
    nowMs: number;
    owner: TunnelOwner;
  }) {
    this.route = options.route;
    this.#idleMs = options.idleMs;
    this.#seenAtMs = options.nowMs;
    this.#owner = options.owner;
    this.#client = own(options.client, this.#fromClient);
    this.#origin = own(options.origin, this.#fromOrigin);
    this.#wire(this.#client, this.#origin);
    this.#wire(this.#origin, this.#client);
  }

  /** Bytes that were read before the tunnel stood: after the request's head, after the answer's. */
  begin(answerHead: string, fromClient: Buffer, fromOrigin: Buffer): void {
    this.#client.write(answerHead, 'latin1');
    if (fromClient.length > 0) this.#fromClient(fromClient, fromClient.length);
    if (fromOrigin.length > 0) this.#fromOrigin(fromOrigin, fromOrigin.length);
    this.#client.resume();
    this.#origin.resume();
  }

  /**
   * Asks the client to come back elsewhere: a Close frame with 1012 at the next frame boundary.
   * False when that was asked before.
   */
  close(nowMs: number): boolean {
    if (this.#closing !== 'no') return false;
    this.#closing = 'asked';
    this.#closingSinceMs = nowMs;
    if (this.#cursor.atBoundary) this.#sendClose();
    return true;
  }

  /** Ends it now. */
  cut(): void {
    this.#outcome = 'cut';
    this.#destroy();
  }

  /** Called about once a second: ends what was silent too long or did not answer our Close. */
  sweep(nowMs: number): void {
    if (this.#closing !== 'no' && nowMs - this.#closingSinceMs > CLOSE_WAIT_MS) return this.cut();
    const bytes = this.#bytesIn + this.#bytesOut;
    if (bytes !== this.#seenBytes) {
      this.#seenBytes = bytes;
      this.#seenAtMs = nowMs;
    } else if (nowMs - this.#seenAtMs > this.#idleMs) {
      this.cut();
    }
  }

  #fromClient = (chunk: Buffer, bytes: number): void => {
    this.#bytesIn += bytes;
    if (!this.#origin.write(copyOf(chunk, bytes))) this.#client.pause();
  };

  #fromOrigin = (chunk: Buffer, bytes: number): void => {
    if (this.#closing === 'sent') return; // Nothing may follow a Close frame (RFC 6455, 5.5.1).
    let send = bytes;
    if (this.#closing === 'asked') send = this.#cursor.advanceToBoundary(chunk, bytes);
    else this.#cursor.advance(chunk, bytes);
    this.#bytesOut += send;
    if (send > 0 && !this.#client.write(copyOf(chunk, send))) this.#origin.pause();
    if (this.#closing === 'asked' && this.#cursor.atBoundary) this.#sendClose();
  };

  #sendClose(): void {
    this.#closing = 'sent';
    this.#outcome = 'cut';
    if (this.#client.writable) this.#client.write(closeFrame1012);
  }

  #wire(from: Socket, to: Socket): void {
    from.on('drain', () => to.resume());
    from.on('end', () => {
      if (!to.writableEnded) to.end();
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      // A side that is gone altogether (RST, or both halves closed) leaves nothing to relay.
      if (to.writableEnded) to.resume();
      else to.end();
      if (!to.destroyed) to.destroySoon();
      this.#open -= 1;
      if (this.#open === 0) {
        this.#owner.tunnelEnded(this, this.#outcome, this.#bytesIn, this.#bytesOut);
      }
    });
  }

  #destroy(): void {
    this.#client.destroy();
    this.#origin.destroy();
  }
}

/** The kernel may keep a written buffer until it is sent; the shared one is overwritten by the next read. */
function copyOf(chunk: Buffer, bytes: number): Buffer {
  if (chunk !== sharedBuffer) return bytes === chunk.length ? chunk : chunk.subarray(0, bytes);
  const copy = Buffer.allocUnsafe(bytes);
  chunk.copy(copy, 0, 0, bytes);
  return copy;
}

type OnData = (chunk: Buffer, bytes: number) => void;

/**
 * Gives a socket a new, lean life as one end of a tunnel: the listeners and buffers of its HTTP past
 * are left behind, and a plain TCP socket reads into the shared buffer instead of allocating one per
 * read. `onread` exists only for sockets made with it, so the handle moves to a new one.
 */
function own(socket: Socket, onData: OnData): Socket {
  const handle = handleOf(socket);
  if (handle === undefined) {
    socket.removeAllListeners();
    socket.allowHalfOpen = true;
    socket.setTimeout(0);
    socket.on('data', (chunk: Buffer) => onData(chunk, chunk.length));
    socket.pause();
    return socket;
  }
  if (handle.reading) {
    handle.reading = false;
    handle.readStop();
  }
  detachHandle(socket);
  const options = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: sharedBuffer,
      callback: (bytes: number, buffer: Uint8Array): boolean => {
        onData(buffer as Buffer, bytes);
        return true;
      },
    },
  };
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0]);
}

interface Handle {
  reading: boolean;
  readStop(): void;
}

/** The libuv handle of a plain TCP socket; undefined for TLS and for sockets that are closing. */
function handleOf(socket: Socket): Handle | undefined {
  if (socket instanceof TLSSocket || socket.destroyed || socket.writableLength > 0)
    return undefined;
  const handle = (socket as unknown as { _handle?: Partial<Handle> | null })._handle;
  if (handle == null || typeof handle.readStop !== 'function') return undefined;
  return handle as Handle;
}

function detachHandle(socket: Socket): void {
  socket.setTimeout(0);
  (socket as unknown as { _handle: null })._handle = null;
  socket.removeAllListeners();
  socket.destroy();
}
