/** A server around fast-proxy, set up as its documentation advises. Usage: PORT ORIGIN_PORT */
import { createServer } from 'node:http';
import fastProxy from 'fast-proxy';

const [port, originPort] = process.argv.slice(2).map(Number);
const { proxy } = fastProxy({ base: `http://127.0.0.1:${originPort}` });
const server = createServer((request, response) => {
  proxy(request, response, request.url ?? '/', {});
});
server.listen({ host: '127.0.0.1', port, backlog: 4_096 });
process.on('SIGTERM', () => process.exit(0));
