/** What took part in a run, so that its numbers can be compared later. */
import { release } from 'node:os';
import { tryCommand } from './command.ts';
import { nginxVersion } from './servers/nginx.ts';
import type { ServerDriver } from './servers/server.ts';

/** First line that a program prints about itself, on either stream. */
async function firstLine(argv: readonly string[]): Promise<string> {
  const { stdout, stderr } = await tryCommand(argv);
  return (stdout || stderr).trim().split('\n')[0] ?? '';
}

const known = new Map<string, Promise<Record<string, string>>>();

/** Kernel, Node, BIRD, the server under test, the origin's nginx, curl. Asked once per process. */
export function collectVersions(server: ServerDriver): Promise<Record<string, string>> {
  const asked = known.get(server.name) ?? ask(server);
  known.set(server.name, asked);
  return asked;
}

async function ask(server: ServerDriver): Promise<Record<string, string>> {
  const [bird, curl, origin, tested] = await Promise.all([
    firstLine(['bird', '--version']),
    firstLine(['curl', '-q', '--version']),
    nginxVersion(),
    server.version(),
  ]);
  return {
    kernel: release(),
    node: process.version,
    bird: bird.replace(/^BIRD version /, 'bird/'),
    server: tested,
    origin,
    curl: curl.split(' ').slice(0, 2).join('/'),
  };
}
