/**
 * The program that ExaBGP runs (`process { run … }`): orders of the agent come in by a unix socket
 * and go out to ExaBGP by standard output. When no agent gives orders any more it withdraws.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { LineCutter, parseExabgpOrder } from './exabgp-message.ts';
import { ExabgpSpeaker } from './exabgp-speaker.ts';

const CONNECT_AGAIN_MS = 500;
const TICK_MS = 250;

/** File beside the socket that says how to take everything back: a new program knows no routes. */
export const withdrawalFile = (socket: string): string => `${socket}.withdraw`;

/**
 * Runs until ExaBGP closes its end. Never rejects.
 * @param path Socket of the agent, `announce.exabgp.socket`.
 * @param leaseMs How long the first order may take to come.
 */
export async function runExabgpProgram(path: string, leaseMs: number): Promise<void> {
  const speaker = new ExabgpSpeaker(performance.now(), { withdraw: remembered(path), leaseMs });
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  let socket: Socket | undefined;

  const report = () => {
    socket?.write(`${JSON.stringify(speaker.report)}\n`);
  };
  const say = (commands: readonly string[]) => {
    if (commands.length === 0) return;
    process.stdout.write(`${commands.join('\n')}\n`);
    report();
  };
  const call = () => {
    const calling = connect(path);
    const lines = new LineCutter();
    calling.setEncoding('utf8');
    calling.on('connect', () => {
      socket = calling;
      report();
    });
    calling.on('data', (text: string) => {
      for (const line of lines.push(text) ?? []) {
        const order = parseExabgpOrder(line);
        if (order === undefined) calling.destroy();
        else say(speaker.hear(performance.now(), order));
      }
    });
    calling.on('error', () => undefined);
    calling.on('close', () => {
      socket = undefined;
      setTimeout(call, CONNECT_AGAIN_MS).unref();
    });
  };

  const answers = new LineCutter();
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (text: string) => {
    let isNew = false;
    for (const line of answers.push(text) ?? []) {
      if (line === 'shutdown') end();
      else isNew = speaker.answered(line.trim()) || isNew;
    }
    if (isNew) report();
  });
  process.stdin.on('end', end);
  process.stdin.on('error', () => end());
  process.stdout.on('error', () => end());
  const timer = setInterval(() => say(speaker.tick(performance.now())), TICK_MS);
  call();
  await over;
  clearInterval(timer);
  socket?.destroy();
}

function remembered(path: string): string[] {
  try {
    const order = { state: 'down', commands: [], leaseMs: 1 };
    const withdraw: unknown = JSON.parse(readFileSync(withdrawalFile(path), 'utf8'));
    return [...(parseExabgpOrder(JSON.stringify({ ...order, withdraw }))?.withdraw ?? [])];
  } catch {
    return [];
  }
}
