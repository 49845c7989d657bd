/** A link to an origin that speaks in bytes, and calls whose answers are collected. */
import net, { type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { parseOrigin } from '../../src/config/origin.ts';
import { configSchema } from '../../src/config/schema.ts';
import { ClientConnection } from '../../src/edge/connection.ts';
import { OriginCall, type OriginHandler } from '../../src/edge/origin-call.ts';
import { OriginLink } from '../../src/edge/origin-link.ts';
import type { RequestBody } from '../../src/edge/request-body.ts';
import { requestHead } from '../../src/edge/request-head.ts';

export function linkTo(url: string, route: object = {}): OriginLink {
  const config = configSchema.parse({
    sites: { '*': { routes: { '/*': { to: url, ...route } } } },
  });
  return new OriginLink(parseOrigin(url), config.sites['*']!.routes['/*']!);
}

export function clientOf(port = 1): ClientConnection {
  const source = { address: '192.0.2.1', port };
  const destination = { address: '192.0.2.2', port: 80 };
  return new ClientConnection({ peer: source, source, destination, tls: false, trusted: false });
}

export interface RawOrigin {
  readonly url: string;
  /** One per connection, in the order of their arrival. */
  readonly sockets: Socket[];
  /** What each was sent, Latin-1. */
  readonly seen: string[];
  /** Requests without body, over all connections. */
  requests(): number;
}

/** @param answer is given each whole head, with the number of the connection and of its request. */
export async function rawOrigin(
  t: TestContext,
  answer: (socket: Socket, facts: { connection: number; request: number }) => void,
): Promise<RawOrigin> {
  const sockets: Socket[] = [];
  const seen: string[] = [];
  const server = net.createServer((socket) => {
    const connection = sockets.push(socket) - 1;
    seen.push('');
    let request = 0;
    let rest = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      seen[connection] += chunk.toString('latin1');
      rest += chunk.toString('latin1');
      for (let end = rest.indexOf('\r\n\r\n'); end >= 0; end = rest.indexOf('\r\n\r\n')) {
        rest = rest.slice(end + 4);
        answer(socket, { connection, request: request++ });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const requests = () => seen.join('').split('HTTP/1.1\r\n').length - 1;
  return { url: `http://127.0.0.1:${port}`, sockets, seen, requests };
}

/** What became of a call. */
export class Answer implements OriginHandler {
  status = 0;
  headers: string[] = [];
  body = '';
  error: (Error & { code?: string }) | undefined;
  upgraded: { socket: Socket; early: string } | undefined;
  /** Everything that was told, in order. */
  readonly told: string[] = [];
  readonly over: Promise<this>;
  #end: () => void = () => undefined;

  constructor() {
    this.over = new Promise((resolve) => {
      this.#end = () => resolve(this);
    });
  }

  originHead(status: number, _reason: string, headers: string[]): void {
    this.told.push('head');
    this.status = status;
    this.headers = headers;
  }

  originBody(buffer: Buffer, start: number, end: number): void {
    this.told.push('body');
    this.body += buffer.toString('latin1', start, end);
  }

  originEnd(): void {
    this.told.push('end');
    this.#end();
  }

  originUpgrade(_headers: string[], socket: Socket, early: Buffer): void {
    this.told.push('upgrade');
    this.upgraded = { socket, early: early.toString('latin1') };
    this.#end();
  }

  originError(error: Error): void {
    this.told.push('error');
    this.error = error;
    this.#end();
  }
}

export interface Asked {
  method?: string;
  body?: RequestBody;
  isUpgrade?: boolean;
  client?: ClientConnection;
  handler?: Answer;
}

export function begin(link: OriginLink, asked: Asked = {}): { call: OriginCall; answer: Answer } {
  const { method = 'GET', body = null, isUpgrade = false, client = clientOf() } = asked;
  const answer = asked.handler ?? new Answer();
  const head = requestHead({
    method,
    target: '/',
    headers: [],
    authority: link.authority,
    body: body === null ? 'none' : 'chunked',
    isUpgrade,
  });
  const call = new OriginCall({ handler: answer, method, head, body, isUpgrade });
  link.call(call, client);
  return { call, answer };
}

export function ask(link: OriginLink, asked: Asked = {}): Promise<Answer> {
  return begin(link, asked).answer.over;
}
