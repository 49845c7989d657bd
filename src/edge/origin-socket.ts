/** Opens sockets to origins: TCP or TLS, with a PROXY protocol header first where one is due. */
import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Origin } from '../config/origin.ts';
import { type Lender, ownBytes, ReadBuffer } from './read-buffer.ts';

export interface OriginSocketEvents {
  /** Bytes arrived; valid during the call only, unless they were lent by `lender`. */
  onBytes(buffer: Buffer, bytes: number, lender: Lender): void;
  /** More of an answer is expected. */
  readonly isBusy: boolean;
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
  const reading = new ReadBuffer();
  const onread = {
    buffer: () => reading.next(),
    callback: (bytes: number): boolean => {
      events.onBytes(reading.current, bytes, reading);
      reading.used(bytes, events.isBusy);
      return true;
    },
  };
  const socket = connectTcp({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    // The types do not know that `undefined` keeps the buffer.
    ...(origin.tls ? {} : { onread: onread as unknown as OnReadOpts }),
  });
  socket.once('close', () => reading.close());
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
    socket.on('data', (chunk: Buffer) => events.onBytes(chunk, chunk.length, ownBytes));
    events.onReady(socket);
  });
  return () => {
    under?.destroy();
    socket.destroy();
  };
}

function ignore(): void {}
