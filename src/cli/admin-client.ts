/** Talks to the admin server of a running node. */
import { request } from 'node:http';
import { type Command, Option } from 'commander';
import { AddressError, formatHostPort, type HostPort } from '../config/address.ts';
import { parseListener } from '../config/listener.ts';
import { adminAddressOf } from '../config/load.ts';
import { DEFAULT_ADMIN, DEFAULT_ADMIN_PORT } from '../config/schema.ts';
import { ExitError, exitCodes } from './exit.ts';

const ANSWER_BYTES_MAX = 16_777_216;

/** Adds `--admin` and `--config`, which say where the node's admin server is. */
export function addAdminFlags(command: Command): Command {
  return command
    .addOption(
      new Option(
        '-a, --admin <address>',
        `admin address of the node, e.g. 127.0.0.1:2019 (default: that of --config, else ${DEFAULT_ADMIN})`,
      ).env('HOLDFAST_ADMIN'),
    )
    .addOption(
      new Option('-c, --config <file>', 'configuration file that says the admin address').env(
        'HOLDFAST_CONFIG',
      ),
    );
}

/** Where the flags, the environment or the file say that the admin server is. Throws {@link ExitError}. */
export function adminAddress(command: Command): HostPort {
  const { admin, config } = command.opts<{ admin?: string; config?: string }>();
  const listener =
    admin === undefined && config !== undefined
      ? adminAddressOf(config)
      : parsedAddress(admin ?? DEFAULT_ADMIN);
  if (listener === null) {
    throw new ExitError(
      exitCodes.usage,
      'the admin server is off: set "admin" in the configuration',
    );
  }
  const { host, port } = listener;
  // A server on every address is reached on this machine's own.
  if (host === '' || host === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: host === '::' ? '::1' : host, port };
}

function parsedAddress(text: string): HostPort | null {
  if (text === 'off') return null;
  try {
    return parseListener(text, DEFAULT_ADMIN_PORT);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new ExitError(exitCodes.usage, `--admin: ${error.message}`);
  }
}

export interface AdminReply {
  readonly status: number;
  /** Parsed JSON. */
  readonly body: unknown;
}

/** Asks the node. Throws {@link ExitError} with code 4 when it does not answer. */
export async function askAdmin(
  address: HostPort,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs: number,
  sentBody = '',
): Promise<AdminReply> {
  try {
    const { status, text } = await exchange(address, method, path, timeoutMs, sentBody);
    return { status, body: JSON.parse(text) };
  } catch (error) {
    throw new ExitError(exitCodes.unreachable, unreachableText(address, error as Error));
  }
}

function unreachableText(address: HostPort, error: Error): string {
  const where = formatHostPort(address);
  if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
    return `no node answers at ${where}: is "holdfast run" or "holdfast agent" running, and is its admin address this one? (--admin, HOLDFAST_ADMIN)`;
  }
  if (error instanceof SyntaxError) {
    return `what answers at ${where} is not holdfast: check --admin or HOLDFAST_ADMIN`;
  }
  return `no answer from ${where}: ${error.message}; check --admin or HOLDFAST_ADMIN`;
}

function exchange(
  { host, port }: HostPort,
  method: string,
  path: string,
  timeoutMs: number,
  sentBody: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, method, path, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) response.destroy(new Error('the answer is too large'));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
    });
    const timer = setTimeout(() => {
      asked.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`));
    }, timeoutMs);
    asked.on('close', () => clearTimeout(timer));
    asked.on('error', reject);
    asked.end(sentBody);
  });
}
