/** The rules of the house. Each takes a file and gives its complaints; tables say what is allowed. */
import { posix } from 'node:path';
import { codeOf, importsOf } from './source-text.ts';

/** One file: its path from the top of the checkout, with slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const LINES_MAX = 500;

/**
 * Which room may import which. A room is a directory under `src`, or a file right in it.
 * `errors` is the ground floor: the base class of every error.
 */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  version: [],
  proto: [],
  config: ['errors'],
  sync: ['errors', 'proto'],
  datapath: ['errors', 'proto'],
  announce: ['errors', 'config'],
  edge: ['errors', 'config'],
  admin: ['errors', 'config'],
  supervisor: ['errors', 'config'],
  // Mesh and datapath as one process, with the log and the admin server of every process.
  agent: ['errors', 'config', 'proto', 'sync', 'datapath', 'announce', 'admin', 'supervisor'],
  // The program of a worker process: an edge, told what to do by its supervisor.
  worker: ['errors', 'config', 'edge', 'supervisor'],
  // The library: what it exports may come from any room but the processes'.
  index: ['errors', 'config', 'edge', 'sync', 'datapath', 'announce', 'proto'],
  // The composition root knows all.
  node: [
    'errors',
    'config',
    'edge',
    'supervisor',
    'admin',
    'sync',
    'datapath',
    'announce',
    'proto',
    'agent',
    'version',
  ],
  cli: ['errors', 'version', 'config', 'node', 'bench', 'agent', 'datapath', 'announce'],
  // Lab and benchmarks use the rooms, never the processes or the command line.
  bench: ['errors', 'config', 'proto', 'sync', 'datapath', 'edge', 'announce', 'agent'],
};

/**
 * In these rooms every file is a core unless it is listed as a shell. Elsewhere a file is a core
 * when its first comment says "A core" or "A core without IO".
 */
export const coreRooms: readonly string[] = ['proto', 'sync', 'edge'];

/** Files that own sockets, timers, clocks or randomness, and why. */
export const shells: ReadonlyMap<string, string> = new Map([
  ['src/edge/access-log.ts', 'writes lines, stamps them with the wall clock'],
  ['src/edge/edge.ts', 'owns the sweep timer and draws ticket keys'],
  ['src/edge/exchange.ts', 'wraps sockets and lingers on a timer'],
  ['src/edge/forward.ts', 'streams between sockets'],
  ['src/edge/gateway.ts', 'starts exchanges, reads the clock for them'],
  ['src/edge/health-checker.ts', 'asks origins on a timer'],
  ['src/edge/http-front.ts', 'parses HTTP from sockets'],
  ['src/edge/listener.ts', 'accepts connections'],
  ['src/edge/origin-connection.ts', 'one connection to an origin, with a timer while it is made'],
  ['src/edge/origin-connections.ts', 'keeps idle connections, by their age'],
  ['src/edge/origin-link.ts', 'connects to origins'],
  ['src/edge/origin-socket.ts', 'opens sockets'],
  ['src/edge/request-body.ts', 'reads from a client'],
  ['src/edge/route.ts', 'owns the links to origins, draws randomness for its pool'],
  ['src/edge/ticket-keys.ts', 'draws the IV of each ticket'],
  ['src/edge/tunnel.ts', 'relays between sockets'],
  ['src/sync/keyring-file.ts', 'reads and writes the keyring'],
  ['src/sync/mesh-node.ts', 'starts a mesh behind real sockets'],
  ['src/sync/mesh.ts', 'owns the UDP socket, the streams and the one timer'],
  ['src/sync/node-cipher.ts', 'draws keys'],
  ['src/sync/streams.ts', 'owns the TCP connections between nodes'],
]);

/** What a core may take from node: pure functions only. */
const pureNodeNames: Readonly<Record<string, readonly string[]>> = {
  'node:buffer': ['Buffer'],
  'node:crypto': ['createHash', 'createHmac', 'hash', 'timingSafeEqual'],
  'node:http': ['STATUS_CODES'],
  'node:net': ['isIP', 'isIPv4', 'isIPv6'],
  'node:path': ['basename', 'dirname', 'join', 'posix'],
  'node:tls': ['createSecureContext'],
  'node:util': ['isDeepStrictEqual'],
};

/** Packages that open nothing and wait for nothing. */
const purePackages: readonly string[] = [
  'hdr-histogram-js',
  'http-cache-semantics',
  'ipaddr.js',
  'lru-cache',
  'prom-client',
  'protobufjs',
  'yaml',
  'zod',
];

const impureCalls: readonly [RegExp, string][] = [
  [/(?<![.\w#])(?:setTimeout|setInterval|setImmediate)\s*\(/, 'owns a timer'],
  [
    /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.(?:now|timeOrigin)\b|\bhrtime\b/,
    'reads a clock',
  ],
  [/\bMath\.random\b|\bgetRandomValues\b|\brandomUUID\b/, 'draws randomness'],
  [
    /(?<![.\w#])fetch\s*\(|\bnew WebSocket\b|\bprocess\.(?:stdout|stderr|stdin|env|on)\b/,
    'does IO',
  ],
];

/** `edge` for `src/edge/x.ts`, `node` for `src/node.ts`, `bench` for anything in it. */
export function roomOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  return top === 'src' ? second.replace(/\.ts$/, '') : top;
}

/** Rooms import only those that the table allows. */
export function importDirection({ path, text }: SourceFile): string[] {
  const room = roomOf(path);
  if (!path.startsWith('src/') && room !== 'bench') return [];
  const allowed = mayImport[room];
  if (allowed === undefined) return [`${path}: the room "${room}" is not in the table of rooms`];
  return importsOf(text).flatMap(({ specifier }) => {
    if (!specifier.startsWith('.')) return [];
    const target = posix.join(posix.dirname(path), specifier);
    const other = roomOf(target);
    if (other === room || allowed.includes(other)) return [];
    return [`${path}: ${room} may not import ${other} (${specifier})`];
  });
}

export function isCore({ path, text }: SourceFile): boolean {
  if (!path.startsWith('src/')) return false;
  if (coreRooms.includes(roomOf(path))) return !shells.has(path);
  const comment = /^\s*\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '';
  return /\bA core\b/.test(comment.replaceAll(/\s*\n\s*\*\s*/g, ' '));
}

/** Cores open nothing, wait for nothing, and are told the time and their luck. */
export function coresArePure(file: SourceFile): string[] {
  if (!isCore(file)) return [];
  const { path, text } = file;
  const complaints: string[] = [];
  for (const { specifier, names, typeOnly, whole } of importsOf(text)) {
    if (typeOnly) continue;
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(path), specifier);
      if (shells.has(target)) complaints.push(`${path}: a core imports the shell ${specifier}`);
    } else if (specifier.startsWith('node:')) {
      const pure = pureNodeNames[specifier] ?? [];
      const impure = whole ? ['all of it'] : names.filter((name) => !pure.includes(name));
      for (const name of impure) complaints.push(`${path}: a core takes ${name} from ${specifier}`);
    } else {
      const parts = specifier.split('/');
      const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
      if (!purePackages.includes(name)) complaints.push(`${path}: a core imports ${name}`);
    }
  }
  const code = codeOf(text);
  for (const [pattern, what] of impureCalls) {
    const call = pattern.exec(code)?.[0];
    if (call !== undefined) complaints.push(`${path}: a core ${what}: ${call}`);
  }
  return complaints;
}

/** A list of shells that are gone would hide new files of the same name. */
export function shellsExist(paths: ReadonlySet<string>): string[] {
  return [...shells.keys()].flatMap((path) =>
    paths.has(path) ? [] : [`${path} is listed as a shell, but there is no such file`],
  );
}

/** Files stay small enough to be one noun each. */
export function filesAreRooms({ path, text }: SourceFile): string[] {
  if (!/^(src|bench|test)\/.*\.ts$/.test(path)) return [];
  const complaints: string[] = [];
  const lines = text.split('\n').length - 1;
  if (lines > LINES_MAX) {
    complaints.push(
      `${path}: ${lines} lines, at most ${LINES_MAX}: look for the second noun in it`,
    );
  }
  if (/(^|\/)(utils?|types|helpers?)\.ts$|\/common\//.test(path)) {
    complaints.push(`${path}: name it by the noun it holds`);
  }
  return complaints;
}

// Written in parts, or this file would complain of itself.
const leftovers: readonly [RegExp, string][] = [
  [new RegExp(`\\b(?:FIX${'ME'}|TO${'DO'}|XX${'X'})\\b`), 'unfinished work'],
  [
    new RegExp(`\\b(?:test|it|describe|suite)\\.on${'ly'}\\(|\\bon${'ly'}: true\\b`),
    'a test that hides others',
  ],
  [
    new RegExp(`(?<![\\w./*-])/(?:ho${'me'}|wo${'rk'}|ro${'ot'}|Use${'rs'})/[A-Za-z]`),
    'a path of one machine',
  ],
];

/** Nothing of the workshop is left lying about. */
export function nothingLeftOver({ path, text }: SourceFile): string[] {
  return leftovers.flatMap(([pattern, what]) => {
    const index = text.search(pattern);
    if (index === -1) return [];
    const line = text.slice(0, index).split('\n').length;
    return [`${path}:${line}: ${what}`];
  });
}
