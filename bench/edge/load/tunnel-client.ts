/**
 * Opens WebSockets through a proxy and sends messages on them, as its parent process orders.
 * Usage: PORT, with a channel for messages
 */
import { connect, type Socket } from 'node:net';
import { clientFrame, isEcho, numberFrame, ORIGIN_FRAME_BYTES } from '../origins/echo-frames.ts';
import type { TunnelOrder, TunnelReport } from './tunnel-messages.ts';

const port = Number(process.argv[2]);
/** Handshakes under way at a time: below every listener's backlog. */
const OPENING_MAX = 64;
const HANDSHAKE_MS = 20_000;
/** After the end of a round, for what is under way. */
const LATE_MS = 5_000;
const REQUEST = `GET /tunnel HTTP/1.1\r
Host: 127.0.0.1:${port}\r
User-Agent: holdfast-bench\r
Origin: http://127.0.0.1:${port}\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
Sec-WebSocket-Version: 13\r
\r
`;

/** All tunnels read into the same memory: what comes is looked at before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(16_384);

interface Round {
  readonly startedMs: number;
  readonly untilMs: number;
  readonly messagesMax: number;
  messages: number;
  /** Sent and not come back yet. */
  underWay: number;
  failed: number;
}

let round: Round | undefined;
const tunnels = new Set<Tunnel>();

class Tunnel {
  readonly opened: Promise<boolean>;
  readonly #socket: Socket;
  readonly #frame: Buffer;
  #resolve: (open: boolean) => void;
  #isOpen = false;
  #sent = 0;
  /** Its message is under way. */
  #waits = false;
  /** A head or an echo that has come in part. */
  #partial = Buffer.alloc(0);

  constructor(number: number) {
    this.#frame = clientFrame(number);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.opened = promise;
    this.#resolve = resolve;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (bytes) => {
          this.#read(readBuffer.subarray(0, bytes));
          return true;
        },
      },
    });
    this.#socket.setTimeout(HANDSHAKE_MS, () => this.#socket.destroy());
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      tunnels.delete(this);
      this.#resolve(false);
      if (round === undefined) return;
      round.failed += 1;
      if (this.#waits) cameBack(round);
    });
    this.#socket.write(REQUEST);
  }

  send(): void {
    this.#sent += 1;
    this.#waits = true;
    numberFrame(this.#frame, this.#sent);
    this.#socket.write(this.#frame.toString('latin1'), 'latin1');
  }

  #read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#partial.length > 0) {
      bytes = Buffer.concat([this.#partial, chunk]);
      this.#partial = Buffer.alloc(0);
    }
    if (!this.#isOpen) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#partial = Buffer.from(bytes);
        return;
      }
      if (!bytes.toString('latin1', 0, 12).endsWith(' 101')) {
        this.#socket.destroy();
        return;
      }
      this.#isOpen = true;
      this.#socket.setTimeout(0);
      this.send();
      bytes = bytes.subarray(end + 4);
    }
    if (bytes.length === 0) return;
    if (bytes.length < ORIGIN_FRAME_BYTES) {
      this.#partial = Buffer.from(bytes);
      return;
    }
    this.#echoed(isEcho(bytes, this.#frame));
  }

  #echoed(right: boolean): void {
    if (!right) {
      this.#socket.destroy();
      return;
    }
    this.#resolve(true);
    this.#waits = false;
    if (round === undefined) return;
    round.messages += 1;
    if (performance.now() < round.untilMs && round.messages < round.messagesMax) this.send();
    else cameBack(round);
  }
}

/** A message will have no successor. The round ends with the last, so that none is left for the next. */
function cameBack(begun: Round): void {
  begun.underWay -= 1;
  if (begun.underWay === 0) finish(begun);
}

function finish(ended: Round): void {
  if (round !== ended) return;
  round = undefined;
  const { messages, failed, startedMs } = ended;
  report({ type: 'echoed', messages, failed, ms: performance.now() - startedMs });
}

async function open(count: number): Promise<void> {
  let failed = 0;
  let missing = count - tunnels.size;
  const opener = async () => {
    while (missing > 0) {
      missing -= 1;
      const tunnel = new Tunnel(count - missing);
      tunnels.add(tunnel);
      if (!(await tunnel.opened)) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, opener));
  report({ type: 'opened', tunnels: tunnels.size, failed });
}

function echo(ms: number, messagesMax: number): void {
  const startedMs = performance.now();
  const begun: Round = {
    startedMs,
    untilMs: startedMs + ms,
    messagesMax,
    messages: 0,
    underWay: tunnels.size,
    failed: 0,
  };
  round = begun;
  for (const tunnel of tunnels) tunnel.send();
  setTimeout(() => {
    if (round !== begun) return;
    // They do not come back any more.
    begun.failed += begun.underWay;
    finish(begun);
  }, ms + LATE_MS);
}

function report(message: TunnelReport): void {
  process.send?.(message);
}

process.on('message', (order: TunnelOrder) => {
  if (order.type === 'open') void open(order.tunnels);
  else echo(order.ms, order.messages);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
