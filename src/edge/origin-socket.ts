/** Opens sockets to origins: TCP or TLS, with a PROXY protocol header first where one is due. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Origin } from '../config/origin.ts';

/** All plain connections read into this one: what was read is used up before the next read. */
const sharedBuffer = Buffer.allocUnsafeSlow(65_536);

export interface OriginSocketEvents {
  /** Bytes arrived; valid during the call only. */
  onBytes(buffer: Buffer, bytes: number): void;
  /** Connected, and trusted if it is TLS. */
  onReady(socket: Socket): void;
  /** Not connected. Not called once it was ready. */
  onRefused(error: Error): void;
}

export interface OriginSocketOptions {
  readonly origin: Origin;
  /** Sent before anything else, also before TLS. */
  readonly preamble: Buffer | undefined;
  /** To resume (RFC 8446, 2.2); the newest that `onSession` gave. */
  readonly session: Buffer | undefined;
  readonly onSession: (session: Buffer) => void;
}

/** Gives what ends the attempt. Events come later, never within the call. */
export function openOriginSocket(
  options: OriginSocketOptions,
  events: OriginSocketEvents,
): () => void {
  const { origin, preamble } = options;
  if (origin.tls && preamble === undefined) return openTls(options, events, undefined);
  const { host, port } = origin;
  const socket = connectTcp({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    ...(origin.tls
      ? {}
      : {
          onread: {
            buffer: sharedBuffer,
            callback: (bytes: number): boolean => {
              events.onBytes(sharedBuffer, bytes);
              return true;
            },
          },
        }),
  });
  let close = () => {
    socket.destroy();
  };
  const refuse = (error: Error) => events.onRefused(error);
  socket.on('error', ignore);
  socket.once('error', refuse);
  socket.once('connect', () => {
    socket.off('error', refuse);
    if (preamble !== undefined) socket.write(preamble);
    if (!origin.tls) events.onReady(socket);
    else close = openTls(options, events, socket);
  });
  return () => close();
}

function openTls(
  { origin, session, onSession }: OriginSocketOptions,
  events: OriginSocketEvents,
  under: Socket | undefined,
): () => void {
  const { host, port } = origin;
  const socket: TLSSocket = connectTls({
    ...(under === undefined ? { host, port } : { socket: under }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(session === undefined ? {} : { session }),
    ALPNProtocols: ['http/1.1'],
  });
  socket.on('error', ignore);
  const refuse = (error: Error) => events.onRefused(error);
  const closed = () => events.onRefused(new Error('closed within the TLS handshake'));
  socket.once('error', refuse);
  socket.once('close', closed);
  socket.on('session', onSession);
  socket.once('secureConnect', () => {
    socket.off('error', refuse);
    socket.off('close', closed);
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    socket.on('data', (chunk: Buffer) => events.onBytes(chunk, chunk.length));
    events.onReady(socket);
  });
  return () => {
    under?.destroy();
    socket.destroy();
  };
}

function ignore(): void {}
