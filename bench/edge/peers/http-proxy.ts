/** A server around http-proxy, set up as its documentation advises. Usage: PORT ORIGIN_PORT */
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';

/** What is used of the package, which describes no types. */
interface HttpProxy {
  createProxyServer(options: { target: string; agent: Agent; xfwd: boolean }): {
    on(event: 'error', listener: (error: Error, request: unknown, to: Duplex) => void): void;
    web(request: IncomingMessage, response: ServerResponse): void;
    ws(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  };
}

const [port, originPort] = process.argv.slice(2).map(Number);
const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as HttpProxy;
const proxy = createProxyServer({
  target: `http://127.0.0.1:${originPort}`,
  // Without it each request opens a connection to the origin.
  agent: new Agent({ keepAlive: true }),
  xfwd: true,
});
proxy.on('error', (_error, _request, to) => to.destroy());
const server = createServer((request, response) => proxy.web(request, response));
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
server.listen({ host: '127.0.0.1', port, backlog: 4_096 });
process.on('SIGTERM', () => process.exit(0));
