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

interface Storage {
  readonly state: string;
  readonly file: string | null;
  readonly error: string | null;
}

interface KeyChangeAnswer {
  readonly result: string;
  readonly id: string;
  readonly storage: Storage;
}

/** What `GET /mesh/keys` answers. */
export interface KeysAnswer {
  readonly keys: readonly { readonly id: string; readonly used: boolean }[];
  readonly ticketKeyEpoch: number;
  readonly storage: Storage;
  readonly nodes: readonly {
    readonly id: string;
    readonly keys: readonly string[];
    readonly used: string;
    readonly ticketKeyEpoch: number;
    readonly storage: string;
  }[];
  readonly silent: readonly string[];
}

/** Keys that such a node got over the wire are gone when it restarts. */
const FORGETFUL: Readonly<Record<string, string>> = {
  failed: 'cannot store its keys',
  nowhere: 'has no file for its keys',
};

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
        'retire the old one. Each step reaches every node of the mesh; wait until "holdfast keys ' +
        'list" shows it on all before the next. Nodes store what came over the wire and start with ' +
        'it; nodes to come, and those that were away, need the new key in their configuration.',
    )
    .addHelpText(
      'after',
      `
Example:
  holdfast keys generate | tee /etc/holdfast/mesh-new.key | holdfast keys add
  holdfast keys list
  holdfast keys use 5f3c09aa
  holdfast keys retire 0b1d22e7`,
    );
  keys
    .command('generate')
    .description('print a new key; the mesh is not told')
    .action(() => {
      process.stdout.write(`${randomBytes(32).toString('base64')}\n`);
    });
  const list = keys
    .command('list')
    .description('show the ids of the keys, who has them and where they are stored; * is in use');
  addAdminFlags(list)
    .option('--json', 'print everything for programs')
    .action(async (options: { json?: boolean }) => {
      const answer = await fetchKeys(list);
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
  for (const [verb, description, lacking] of [
    ['use', 'use that key for new sessions, on every node', (id: string) => id],
    [
      'retire',
      'stop accepting that key, on every node, for good',
      (_: string, answer: KeysAnswer) => answer.keys.find(({ used }) => used)?.id ?? '',
    ],
  ] as const) {
    const command = keys
      .command(verb)
      .description(`${description}; refused while a node lacks the key that it will need`)
      .argument('<id>', 'id of the key, eight hexadecimal digits')
      .option('--force', 'also when that locks nodes out');
    addAdminFlags(command).action(async (id: string, { force }: { force?: boolean }) => {
      if (!force) {
        const answer = await fetchKeys(command);
        refuseLockout(verb, lacking(id, answer), answer);
      }
      await change(command, verb, { id });
    });
  }
  const renew = keys
    .command('renew-ticket')
    .description(
      'replace the key that seals TLS session tickets, on every node; it comes into use half a ' +
        'minute later and tickets under the old one still resume',
    );
  addAdminFlags(renew).action(() => change(renew, 'renew-ticket', {}));
}

async function fetchKeys(command: Command): Promise<KeysAnswer> {
  const reply = await askAdmin(adminAddress(command), 'GET', '/mesh/keys', KEYS_TIMEOUT_MS);
  if (reply.status !== 200) throw refusal(reply.body, reply.status);
  return reply.body as KeysAnswer;
}

/** Throws {@link ExitError} when a node that is there lacks the key, or does not answer. */
function refuseLockout(verb: string, id: string, { keys, nodes, silent }: KeysAnswer): void {
  // The asked node says better what is wrong with a key that it does not know.
  if (!keys.some((key) => key.id === id)) return;
  const without = nodes.filter((node) => !node.keys.includes(id)).map((node) => node.id);
  const reasons = [
    ...(without.length > 0 ? [`${without.join(', ')}: no key ${id} yet`] : []),
    ...(silent.length > 0 ? [`${silent.join(', ')}: no answer`] : []),
  ];
  if (reasons.length === 0) return;
  throw new ExitError(
    exitCodes.runtime,
    `${verb}: refused, since it could lock nodes out (${reasons.join('; ')}); try again soon, or --force`,
  );
}

export function keysText(answer: KeysAnswer): string {
  const { keys, ticketKeyEpoch, storage, nodes, silent } = answer;
  const known = new Map(keys.map(({ id, used }) => [id, used]));
  // A key that the asked node has not heard of yet.
  for (const node of nodes) for (const id of node.keys) if (!known.has(id)) known.set(id, false);
  const rows = [...known].map(([id, used]) => {
    const having = nodes.filter((node) => node.keys.includes(id)).map((node) => node.id);
    const users = nodes.filter((node) => node.used === id).length;
    const who = having.length === nodes.length ? `all ${having.length}` : having.join(', ');
    return [used ? '*' : '', id, who, `${users} of ${nodes.length}`];
  });
  const forgetful = nodes.flatMap(({ id, storage: state }) =>
    FORGETFUL[state] === undefined ? [] : [`${id} ${FORGETFUL[state]}`],
  );
  const lines = [
    columns([['', 'KEY', 'NODES THAT HAVE IT', 'IN USE ON'], ...rows]),
    '',
    `stored: ${storageText(storage)}`,
    `TLS ticket key: epoch ${ticketKeyEpoch}${epochText(answer)}`,
    ...(silent.length > 0 ? [`no answer: ${silent.join(', ')}`] : []),
    ...forgetful.map((text) => `${text}: after a restart it has only those of its configuration`),
  ];
  return `${lines.join('\n')}\n`;
}

function epochText({ ticketKeyEpoch, nodes }: KeysAnswer): string {
  const others = nodes.filter((node) => node.ticketKeyEpoch !== ticketKeyEpoch);
  if (others.length === 0) return '';
  return ` (${others.map(({ id, ticketKeyEpoch: epoch }) => `${id}: ${epoch}`).join(', ')})`;
}

/** Where the keys of the asked node are. */
function storageText({ state, file, error }: Storage): string {
  if (state === 'configured')
    return `in the configuration only; changes go to ${file ?? 'no file'}`;
  if (error !== null) return `not in ${file ?? 'a file'}: ${error}`;
  return file ?? 'nowhere: changes are lost at the next start';
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
  const { result, id = '', storage } = answer;
  const what = id === '' ? verb : `${verb} ${id}`;
  if (result === 'done') process.stdout.write(`${what}: done, the other nodes follow\n`);
  else if (result === 'already') process.stdout.write(`${what}: it was so already\n`);
  else if (result === 'pending') process.stdout.write(`${what}: the next key is on its way\n`);
  else throw new ExitError(exitCodes.runtime, `${what}: ${REFUSALS[result] ?? result}`);
  if (storage !== undefined && storage.error !== null) {
    throw new ExitError(
      exitCodes.degraded,
      `the node could not store its keys in ${storage.file}: ${storage.error}; put them into its configuration before its next start`,
    );
  }
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
