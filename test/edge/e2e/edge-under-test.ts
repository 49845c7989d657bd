/** A real edge on loopback, origins to put behind it, and clients that speak in bytes. */
import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import type { z } from 'zod';
import { type Config, configSchema } from '../../../src/config/schema.ts';
import type { AccessRecord } from '../../../src/edge/access-log.ts';
import { Edge, type EdgeDeps } from '../../../src/edge/edge.ts';

type Input = Partial<z.input<typeof configSchema>>;

/** How long anything on loopback may take before a test gives up, milliseconds. */
export const PATIENCE_MS = 8_000;

export interface EdgeUnderTest {
  readonly edge: Edge;
  readonly port: number;
  readonly ports: number[];
  /** Lines of the access log so far. */
  readonly records: AccessRecord[];
  /** Lines of the process log so far. */
  readonly logs: { level: number; msg: string }[];
  /** The same configuration with some keys replaced. */
  config(input: Input): Config;
}

/** A route to `to` for every host and path, with more settings. */
export function routed(to: string | string[], route: object = {}): Input {
  return { sites: { '*': { routes: { '/*': { to, ...route } } } } };
}

/** Parses with the one schema, so that all defaults are the real ones. */
export function configOf(input: Input): Config {
  const whole = { node: 'n1', listen: ['127.0.0.1:0'], admin: 'off', sites: {}, ...input };
  return configSchema.parse(whole);
}

export async function startEdge(
  t: TestContext,
  input: Input,
  deps: Pick<EdgeDeps, 'ticketKeys'> = {},
): Promise<EdgeUnderTest> {
  const records: AccessRecord[] = [];
  const logs: EdgeUnderTest['logs'] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => logs.push(JSON.parse(line)) });
  const accessLog = { write: (line: string) => records.push(JSON.parse(line)) };
  const edge = new Edge(configOf(input), { log, accessLog, ...deps });
  t.after(() => edge.cut());
  await edge.start();
  const ports = edge.ports();
  return {
    edge,
    port: ports[0]!,
    ports,
    records,
    logs,
    config: (changes) => configOf({ ...input, ...changes }),
  };
}

/** Waits for a condition that a socket on loopback will soon make true. */
export async function until(condition: () => boolean, what = String(condition)): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`not within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A promise that fails instead of never ending. */
export async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not within ${PATIENCE_MS} ms: ${what}`)),
      PATIENCE_MS,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export interface TestOrigin {
  readonly port: number;
  readonly url: string;
  /** `host:port`. */
  readonly at: string;
  /** Connections that the edge keeps open now. */
  readonly sockets: Set<Socket>;
  /** Connections accepted so far. */
  readonly accepted: () => number;
  close(): Promise<void>;
}

async function opened(t: TestContext, server: net.Server): Promise<TestOrigin> {
  const sockets = new Set<Socket>();
  const all = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    all.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => all.delete(socket));
    // With a FIN the edge has let go, whatever the origin does with its half.
    socket.on('end', () => sockets.delete(socket));
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of all) socket.destroy();
    await closed;
  };
  t.after(close);
  const at = `127.0.0.1:${port}`;
  return { port, at, url: `http://${at}`, sockets, accepted: () => accepted, close };
}

/** An HTTP origin. */
export function httpOrigin(t: TestContext, listener: http.RequestListener): Promise<TestOrigin> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, listener);
  return opened(t, server);
}

/** An origin that is told the bytes it gets and writes what it likes. */
export function rawOrigin(
  t: TestContext,
  onConnection: (socket: Socket) => void,
): Promise<TestOrigin> {
  return opened(t, net.createServer({ allowHalfOpen: true }, onConnection));
}

/** A port on which nobody listens. */
export async function deadPort(t: TestContext): Promise<number> {
  const origin = await rawOrigin(t, (socket) => socket.destroy());
  await origin.close();
  return origin.port;
}

/** Reads a request body to its end. */
export async function bodyOf(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A client connection whose bytes are collected. */
export class RawClient {
  readonly socket: Socket;
  #received: Buffer[] = [];
  #ended = false;
  #closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
    socket.on('end', () => {
      this.#ended = true;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
    });
  }

  static async connect(t: TestContext, port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = net.connect({ port, host, allowHalfOpen: true });
    t.after(() => socket.destroy());
    const client = new RawClient(socket);
    await inTime(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      'connect',
    );
    return client;
  }

  /** All bytes so far, as Latin-1. */
  get text(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }

  get bytes(): number {
    return this.#received.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** The edge sent its FIN or RST. */
  get over(): boolean {
    return this.#ended || this.#closed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  write(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Everything until the edge ends the connection. */
  async all(): Promise<string> {
    await until(() => this.over, 'the edge closes the connection');
    return this.text;
  }

  async receives(part: string | RegExp): Promise<string> {
    const found = () =>
      typeof part === 'string' ? this.text.includes(part) : part.test(this.text);
    await until(() => found() || this.over, `reply with ${part}`);
    assert.ok(found(), `reply without ${part}: ${JSON.stringify(this.text.slice(0, 500))}`);
    return this.text;
  }
}

/** Sends bytes on a new connection and gives all that comes back until the edge closes it. */
export async function sendRaw(
  t: TestContext,
  port: number,
  bytes: string | Buffer,
): Promise<string> {
  const client = await RawClient.connect(t, port);
  client.write(bytes);
  const text = await client.all();
  client.socket.destroy();
  return text;
}

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly body: string;
  readonly version: string;
}

/** One request on a connection of its own. */
export async function ask(
  port: number,
  options: http.RequestOptions & { body?: string | Buffer } = {},
): Promise<Reply> {
  const { body, ...rest } = options;
  const request = http.request({ host: '127.0.0.1', port, agent: false, ...rest });
  const reply = new Promise<Reply>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      bodyOf(response).then(
        (bytes) =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            rawHeaders: response.rawHeaders,
            body: bytes.toString('latin1'),
            version: response.httpVersion,
          }),
        reject,
      );
    });
  });
  request.end(body);
  try {
    return await inTime(reply, `answer to ${rest.method ?? 'GET'} ${rest.path ?? '/'}`);
  } finally {
    request.destroy();
  }
}
