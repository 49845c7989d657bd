/**
 * An edge inside a program of your own: an origin, an edge in front of it, one request through both.
 *   node examples/library.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
// In your project: from 'holdfast'.
import { defineConfig, Edge } from '../src/index.ts';

const origin = createServer((request, response) => {
  response.end(`the origin got ${request.url} for ${request.headers['x-forwarded-for']}\n`);
});
await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
const { port } = origin.address() as AddressInfo;

const edge = new Edge(
  defineConfig({
    listen: ['127.0.0.1:0'],
    sites: { '*': { routes: { '/*': { to: `127.0.0.1:${port}` } } } },
  }),
  { log: pino({ level: 'warn' }), accessLog: process.stdout },
);
await edge.start();

const response = await fetch(`http://127.0.0.1:${edge.ports()[0]}/hello`);
console.log(response.status, await response.text());

await edge.drain();
origin.close();
