/** Health, status, metrics and reload over HTTP, for the machine's own use. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { listenError } from '../config/listen-error.ts';
import { formatListener, type Listener } from '../config/listener.ts';
import { refusalOf } from './host-guard.ts';

const BODY_BYTES_MAX = 1_024;
const HEAD_BYTES_MAX = 8_192;
const CONNECTIONS_MAX = 64;
const HEAD_MS = 5_000;
const REQUEST_MS = 10_000;

export interface AdminAnswer {
  readonly status: number;
  /** Sent as JSON, unless it is a text. */
  readonly body: unknown;
  readonly contentType?: string;
}

/** What the server tells of. Handlers may reject: that is answered 500. */
export interface AdminSource {
  healthz(): Promise<AdminAnswer>;
  status(): Promise<AdminAnswer>;
  metrics(): Promise<AdminAnswer>;
  config(): Promise<AdminAnswer>;
  reload(): Promise<AdminAnswer>;
}

/** A further question that a node answers, by path. */
export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  answer(request: AdminRequest): Promise<AdminAnswer>;
}

export interface AdminRequest {
  readonly query: URLSearchParams;
  /** At most 1 KiB; empty without one. */
  readonly body: string;
}

export type AdminRoutes = Readonly<Record<string, AdminRoute>>;

type Handler = keyof AdminSource;

const routes = new Map<string, { method: 'GET' | 'POST'; handler: Handler }>([
  ['/healthz', { method: 'GET', handler: 'healthz' }],
  ['/status', { method: 'GET', handler: 'status' }],
  ['/metrics', { method: 'GET', handler: 'metrics' }],
  ['/config', { method: 'GET', handler: 'config' }],
  ['/reload', { method: 'POST', handler: 'reload' }],
]);

export class AdminServer {
  readonly #listener: Listener;
  readonly #routes: AdminRoutes;
  readonly #server: Server;

  /** @param further Routes beside those of every node. */
  constructor(listener: Listener, source: AdminSource, further: AdminRoutes = {}) {
    this.#listener = listener;
    this.#routes = { ...standardRoutes(source), ...further };
    this.#server = createServer(
      {
        maxHeaderSize: HEAD_BYTES_MAX,
        headersTimeout: HEAD_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: HEAD_MS,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** `http://127.0.0.1:2019`, with the port that the kernel chose in place of 0. */
  get url(): string {
    const address = this.#server.address() as AddressInfo | null;
    return formatListener({ ...this.#listener, port: address?.port ?? this.#listener.port });
  }

  /**
   * Opens the address. Rejects with `ERR_LISTEN`.
   * @param socket One that is open already, as `net.Server.listen` takes it. It is closed with this.
   */
  async listen(socket?: object): Promise<void> {
    const { host, port } = this.#listener;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) =>
        reject(listenError(this.#listener, error, 'admin'));
      const listening = () => {
        this.#server.off('error', failed);
        this.#server.on('error', () => undefined);
        resolve();
      };
      this.#server.once('error', failed);
      if (socket !== undefined) this.#server.listen(socket, listening);
      else this.#server.listen(host === '' ? { port } : { port, host }, listening);
    });
  }

  /**
   * Stops accepting; each connection ends with its next answer, or when it asks nothing for 5 s. (The
   * HTTP server's own close would reset those that were accepted but have not been read yet.)
   */
  close(): void {
    NetServer.prototype.close.call(this.#server);
  }

  /** Ends every connection. */
  cut(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    try {
      const answer = await this.#handle(request);
      // The next request is for whoever has the address then.
      if (!this.#server.listening) response.shouldKeepAlive = false;
      send(request, response, answer);
    } catch (error) {
      send(request, response, { status: 500, body: { error: (error as Error).message } });
    }
  }

  async #handle(request: IncomingMessage): Promise<AdminAnswer> {
    const { method = '' } = request;
    const { host, origin } = request.headers;
    const refusal = refusalOf({ method, host, origin }, this.#listener.host);
    if (refusal !== undefined) return { status: 403, body: { error: refusal } };
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (route === undefined) {
      const known = Object.entries(this.#routes).map(([each, { method }]) => `${method} ${each}`);
      return { status: 404, body: { error: `no ${path} here; there is ${known.join(', ')}` } };
    }
    if (method !== route.method && !(method === 'HEAD' && route.method === 'GET')) {
      return { status: 405, body: { error: `${path} takes ${route.method}` } };
    }
    const body = await smallBody(request);
    if (body === undefined) {
      return { status: 413, body: { error: `the body is larger than ${BODY_BYTES_MAX} bytes` } };
    }
    return route.answer({ query: new URLSearchParams(query), body });
  }
}

function standardRoutes(source: AdminSource): AdminRoutes {
  const entries = [...routes].map(([path, { method, handler }]): [string, AdminRoute] => [
    path,
    { method, answer: () => source[handler]() },
  ]);
  return Object.fromEntries(entries);
}

/** `undefined` when it is too large. */
function smallBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) resolve(undefined);
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString()));
    request.on('close', () => resolve(undefined));
  });
}

function send(request: IncomingMessage, response: ServerResponse, answer: AdminAnswer): void {
  if (response.destroyed || response.headersSent) return;
  const isText = typeof answer.body === 'string';
  const text = isText ? (answer.body as string) : `${JSON.stringify(answer.body, null, 2)}\n`;
  response.writeHead(answer.status, {
    'content-type':
      answer.contentType ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'),
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(answer.status === 413 ? { connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
