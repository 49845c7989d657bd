/** `holdfast keys`: the cluster keys of the mesh. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { formatHostPort, type HostPort } from '../config/address.ts';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { ExitError, exitCodes } from './exit.ts';
import { columns } from './table.ts';

const KEYS_TIMEOUT_MS = 5_000;
const ANSWER_BYTES_MAX = 65_536;

interface KeyChangeAnswer {
  readonly result: string;
  readonly id: string;
}

interface KeysAnswer {
  readonly keys: readonly { readonly id: string; readonly used: boolean }[];
  readonly ticketKeyEpoch: number;
}

const REFUSALS: Readonly<Record<string, string>> = {
  unknownKey: 'no such key; "holdfast keys list" shows them, "holdfast keys add" adds one',
  inUse: 'it is the key in use: use another first',
  full: 'there are 8 keys already: retire one first',
  retired: 'this key was retired and cannot come back; generate a new one',
  malformed: 'not a key, or not the id of one (eight hexadecimal digits)',
};

/** Adds `holdfast keys`. */
export function registerKeys(program: Command): void {
  const keys = program
    .command('keys')
    .summary('generate and rotate the cluster keys of the mesh')
    .description(
      'Cluster keys let nodes into the mesh. To rotate: generate and add a new key, use it, then ' +
        'retire the old one. Each step reaches every node of the mesh; wait for it (holdfast keys ' +
        'list on another node) before the next. Put the new key into the configuration as well.',
    )
    .addHelpText(
      'after',
      `
Example:
  holdfast keys generate | tee /etc/holdfast/mesh-new.key | holdfast keys add
  holdfast keys use 5f3c09aa
  holdfast keys retire 0b1d22e7`,
    );
  keys
    .command('generate')
    .description('print a new key; the mesh is not told')
    .action(() => {
      process.stdout.write(`${randomBytes(32).toString('base64')}\n`);
    });
  const list = keys.command('list').description('show the ids of the keys; * marks the one in use');
  addAdminFlags(list)
    .option('--json', 'print everything for programs')
    .action(async (options: { json?: boolean }) => {
      const reply = await askAdmin(adminAddress(list), 'GET', '/mesh/keys', KEYS_TIMEOUT_MS);
      if (reply.status !== 200) throw refusal(reply.body, reply.status);
      const answer = reply.body as KeysAnswer;
      process.stdout.write(
        options.json ? `${JSON.stringify(answer, null, 2)}\n` : keysText(answer),
      );
    });
  const add = keys
    .command('add')
    .description(
      'accept a key on every node; it is read from standard input, never from arguments',
    );
  addAdminFlags(add).action(async () => {
    await change(add, 'add', { key: (await text(process.stdin)).trim() });
  });
  for (const [verb, description] of [
    ['use', 'use that key for new sessions, on every node'],
    ['retire', 'stop accepting that key, on every node, for good'],
  ] as const) {
    const command = keys
      .command(verb)
      .description(description)
      .argument('<id>', 'id of the key, eight hexadecimal digits');
    addAdminFlags(command).action((id: string) => change(command, verb, { id }));
  }
}

export function keysText({ keys, ticketKeyEpoch }: KeysAnswer): string {
  const rows = keys.map(({ id, used }) => [used ? '*' : '', id]);
  return `${columns([['', 'KEY'], ...rows])}\nTLS ticket key: epoch ${ticketKeyEpoch}\n`;
}

async function change(
  command: Command,
  verb: string,
  body: Readonly<Record<string, string>>,
): Promise<void> {
  const address = adminAddress(command);
  const reply = await post(address, `/mesh/keys/${verb}`, body);
  const answer = reply.body as Partial<KeyChangeAnswer> | null;
  if (answer?.result === undefined) throw refusal(reply.body, reply.status);
  const { result, id = '' } = answer;
  if (result === 'done') process.stdout.write(`${verb} ${id}: done, the other nodes follow\n`);
  else if (result === 'already') process.stdout.write(`${verb} ${id}: it was so already\n`);
  else throw new ExitError(exitCodes.runtime, `${verb} ${id}: ${REFUSALS[result] ?? result}`);
}

function refusal(body: unknown, status: number): ExitError {
  const reason = (body as { error?: string } | null)?.error ?? `it answers ${status}`;
  return new ExitError(exitCodes.runtime, `the node does not do that: ${reason}`);
}

function post(
  { host, port }: HostPort,
  path: string,
  body: Readonly<Record<string, string>>,
): Promise<{ status: number; body: unknown }> {
  const where = formatHostPort({ host, port });
  const content = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      const reason = `no answer from ${where}: ${error.message}; check --admin or HOLDFAST_ADMIN`;
      reject(new ExitError(exitCodes.unreachable, reason));
    };
    const headers = { 'content-type': 'application/json', 'content-length': content.length };
    const asked = request(
      { host, port, method: 'POST', path, headers, agent: false, timeout: KEYS_TIMEOUT_MS },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          answer += piece;
          if (answer.length > ANSWER_BYTES_MAX)
            response.destroy(new Error('the answer is too long'));
        });
        response.on('error', fail);
        response.on('end', () => {
          try {
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer) });
          } catch (error) {
            fail(error as Error);
          }
        });
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('it took too long')));
    asked.on('error', fail);
    asked.end(content);
  });
}
