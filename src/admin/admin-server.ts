/** Health, status, metrics and reload over HTTP, for the machine's own use. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatListener, type Listener } from '../config/listener.ts';
import { HoldfastError } from '../errors.ts';
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
  readonly #source: AdminSource;
  readonly #server: Server;

  constructor(listener: Listener, source: AdminSource) {
    this.#listener = listener;
    this.#source = source;
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

  /** Opens the address. Rejects with `ERR_LISTEN`. */
  async listen(): Promise<void> {
    const { host, port } = this.#listener;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => reject(listenError(this.#listener, error));
      this.#server.once('error', failed);
      // `exclusive`: this address is the supervisor's own and never shared with workers.
      this.#server.listen({ port, exclusive: true, ...(host === '' ? {} : { host }) }, () => {
        this.#server.off('error', failed);
        this.#server.on('error', () => undefined);
        resolve();
      });
    });
  }

  /** Stops accepting and ends idle connections; answers under way are finished. */
  close(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Ends every connection. */
  cut(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    try {
      send(request, response, await this.#handle(request));
    } catch (error) {
      send(request, response, { status: 500, body: { error: (error as Error).message } });
    }
  }

  async #handle(request: IncomingMessage): Promise<AdminAnswer> {
    const { method = '' } = request;
    const { host, origin } = request.headers;
    const refusal = refusalOf({ method, host, origin }, this.#listener.host);
    if (refusal !== undefined) return { status: 403, body: { error: refusal } };
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const route = routes.get(path);
    if (route === undefined) {
      const known = [...routes].map(([each, { method }]) => `${method} ${each}`);
      return { status: 404, body: { error: `no ${path} here; there is ${known.join(', ')}` } };
    }
    if (method !== route.method && !(method === 'HEAD' && route.method === 'GET')) {
      return { status: 405, body: { error: `${path} takes ${route.method}` } };
    }
    if (!(await bodyIsSmall(request))) {
      return { status: 413, body: { error: `the body is larger than ${BODY_BYTES_MAX} bytes` } };
    }
    return this.#source[route.handler]();
  }
}

/** Bodies mean nothing here; a small one is read and ignored. */
function bodyIsSmall(request: IncomingMessage): Promise<boolean> {
  let bytes = 0;
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) resolve(false);
    });
    request.on('end', () => resolve(true));
    request.on('close', () => resolve(false));
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

function listenError(listener: Listener, error: NodeJS.ErrnoException): HoldfastError {
  const mend =
    error.code === 'EADDRINUSE'
      ? 'another process listens there, maybe another holdfast: stop it, or set "admin" (--admin) to another address'
      : `${error.message}; set "admin" (--admin) to another address`;
  return new HoldfastError(`cannot listen on ${formatListener(listener)} (admin): ${mend}`, {
    code: 'ERR_LISTEN',
    source: 'usage',
    retryable: error.code === 'EADDRINUSE',
    cause: error,
  });
}
