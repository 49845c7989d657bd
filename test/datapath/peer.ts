/**
 * A plain TCP server or client, run in a namespace of the tests. It knows nothing of holdfast.
 *
 *     node peer.ts serve NAME PORT ADDRESS…   says "ready" by IPC
 *     node peer.ts client                     takes jobs by IPC, answers with results
 *
 * Protocol: one line, then bytes. `get N` answers N bytes; `put N` takes N bytes and answers their
 * SHA-256; `echo` sends back what comes; `who` answers the server's name.
 */
import { createHash } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithParent } from '../../bench/datapath/namespace.ts';

/** What a client shall do. */
export interface Job {
  readonly id: number;
  readonly kind: 'get' | 'put' | 'echo' | 'who';
  readonly host: string;
  readonly port: number;
  readonly localPort?: number;
  /** Bytes of get and put, messages of echo. */
  readonly amount: number;
  /** Between two messages of echo, two chunks of put. */
  readonly everyMs?: number;
  /** Longest time for the whole job. */
  readonly timeoutMs?: number;
}

export interface Result {
  readonly id: number;
  /** Error code, such as ECONNRESET; empty when all went well. */
  readonly error: string;
  readonly text: string;
  readonly elapsedMs: number;
  /** Longest wait for one echo. */
  readonly worstMs: number;
}

const CHUNK = Buffer.alloc(65_536);
for (let i = 0; i < CHUNK.length; i++) CHUNK[i] = (i * 167 + (i >> 8)) & 0xff;

/** The bytes that `get` sends and `put` wants: a repeating pattern. */
function* pattern(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    yield left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
  }
}

/** SHA-256 of the pattern. */
export function patternHash(bytes: number): string {
  const hash = createHash('sha256');
  for (const chunk of pattern(bytes)) hash.update(chunk);
  return hash.digest('hex');
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

async function sendPattern(socket: Socket, bytes: number, everyMs = 0): Promise<void> {
  for (const chunk of pattern(bytes)) {
    if (socket.destroyed) return;
    if (everyMs > 0) await sleep(everyMs);
    if (!socket.write(chunk)) await drained(socket);
  }
}

function answer(socket: Socket, name: string): void {
  socket.on('error', () => {});
  socket.once('data', (first: Buffer) => {
    const end = first.indexOf(10);
    const [verb, amount] = first.toString('latin1', 0, end).split(' ');
    const rest = first.subarray(end + 1);
    if (verb === 'get') void sendPattern(socket, Number(amount)).then(() => socket.end());
    else if (verb === 'who') socket.end(name);
    else if (verb === 'echo') {
      socket.write(rest);
      socket.pipe(socket);
    } else if (verb === 'put') {
      const hash = createHash('sha256');
      let left = Number(amount);
      const take = (data: Buffer) => {
        hash.update(data);
        left -= data.length;
        if (left <= 0) socket.end(hash.digest('hex'));
      };
      take(rest);
      socket.on('data', take);
    }
  });
}

function work(job: Job, done: (result: Omit<Result, 'id'>) => void): void {
  const startedMs = performance.now();
  const hash = createHash('sha256');
  let text = '';
  let worstMs = 0;
  let finished = false;
  const socket = connect({
    host: job.host,
    port: job.port,
    ...(job.localPort === undefined ? {} : { localPort: job.localPort }),
    noDelay: true,
  });
  const finish = (error: string) => {
    if (finished) return;
    finished = true;
    clearTimeout(timer);
    if (job.kind === 'get') text = hash.digest('hex');
    done({ error, text, elapsedMs: performance.now() - startedMs, worstMs });
    socket.destroy();
  };
  const timer = setTimeout(() => finish('TIMEOUT'), job.timeoutMs ?? 20_000);
  socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? 'ERROR'));
  socket.on('end', () => finish(''));
  if (job.kind !== 'echo') {
    socket.on('data', (data) => {
      if (job.kind === 'get') hash.update(data);
      else text += data;
    });
    socket.write(`${job.kind} ${job.amount}\n`);
    if (job.kind === 'put') void sendPattern(socket, job.amount, job.everyMs);
    return;
  }
  let sent = 0;
  let sentAtMs = 0;
  const send = () => {
    sentAtMs = performance.now();
    socket.write(`${sent === 0 ? 'echo\n' : ''}message ${String(sent++).padStart(8)}`);
  };
  let pending = '';
  socket.on('data', (data) => {
    pending += data;
    if (pending.length < 16) return;
    if (pending !== `message ${String(sent - 1).padStart(8)}`) return finish(`ECHO ${pending}`);
    pending = '';
    worstMs = Math.max(worstMs, performance.now() - sentAtMs);
    if (sent === job.amount) finish('');
    else setTimeout(send, job.everyMs ?? 0);
  });
  send();
}

if (import.meta.main) {
  dieWithParent();
  const [mode, name, port, ...addresses] = process.argv.slice(2);
  if (mode === 'serve') {
    let waiting = addresses.length;
    for (const host of addresses) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
        answer(socket, name!),
      );
      server.listen({ host, port: Number(port), ipv6Only: true }, () => {
        if (--waiting === 0) process.send?.('ready');
      });
    }
  } else {
    process.on('message', (job: Job) => {
      work(job, (result) => process.send?.({ id: job.id, ...result }));
    });
    process.send?.('ready');
  }
}
