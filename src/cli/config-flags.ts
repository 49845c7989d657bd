/** Flags and variables that say what to serve, and how they go over the file. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Override } from '../config/load.ts';
import type { ConfigOrigin } from '../node.ts';
import { ExitError, exitCodes } from './exit.ts';

/** Looked for in the working directory when nothing else is said. */
const DEFAULT_FILE = 'holdfast.yaml';

interface Flags {
  readonly config?: string;
  readonly to?: string[];
  readonly listen?: string[];
  readonly workers?: string;
  readonly admin?: string;
  readonly logLevel?: string;
  readonly accessLog?: string;
}

/** `--config`, for commands that only read the file. */
export function configOption(): Option {
  return new Option('-c, --config <file>', `configuration file (default: ./${DEFAULT_FILE})`).env(
    'HOLDFAST_CONFIG',
  );
}

/** Adds every flag that lies over the configuration. */
export function addConfigFlags(command: Command): Command {
  return command
    .addOption(configOption())
    .addOption(
      new Option(
        '-t, --to <origin>',
        'send every request there, e.g. http://127.0.0.1:3000; again for more',
      )
        .env('HOLDFAST_TO')
        .argParser(collect),
    )
    .addOption(
      new Option('-l, --listen <address>', 'listen there, e.g. :8080 or [::1]:80; again for more')
        .env('HOLDFAST_LISTEN')
        .argParser(collect),
    )
    .addOption(
      new Option('-w, --workers <number>', 'worker processes, e.g. 2 (default: one per core)').env(
        'HOLDFAST_WORKERS',
      ),
    )
    .addOption(
      new Option(
        '-a, --admin <address>',
        'address of status and metrics, e.g. 127.0.0.1:2019, or off',
      ).env('HOLDFAST_ADMIN'),
    )
    .addOption(
      new Option('--log-level <level>', 'debug, info, warn or error').env('HOLDFAST_LOG_LEVEL'),
    )
    .addOption(
      new Option('--access-log <target>', 'stdout, off or a file, e.g. /var/log/holdfast.log').env(
        'HOLDFAST_ACCESS_LOG',
      ),
    );
}

/** A repeated flag makes a list; in a variable, commas separate. */
function collect(value: string, before: string[] | undefined): string[] {
  const values = value.split(',').map((each) => each.trim());
  return [...(before ?? []), ...values];
}

/** What the flags, the environment and the working directory say. Throws {@link ExitError}. */
export function configOriginOf(command: Command): ConfigOrigin {
  const flags = command.opts<Flags>();
  const overrides: Override[] = [];
  const override = (flag: keyof Flags, key: Override['key'], value: unknown) => {
    if (flags[flag] !== undefined) overrides.push({ key, value, from: nameOf(command, flag) });
  };
  override('to', 'sites', { '*': { routes: { '/*': { to: flags.to } } } });
  override('listen', 'listen', flags.listen);
  override('workers', 'workers', wholeNumber(flags.workers));
  override('admin', 'admin', flags.admin);
  override('logLevel', 'logLevel', flags.logLevel);
  override('accessLog', 'accessLog', accessLogOf(flags.accessLog));
  const file = configFileOf(command, flags.to === undefined);
  if (file === undefined && flags.to === undefined) {
    throw new ExitError(
      exitCodes.usage,
      `nothing to serve: give --config FILE or --to ORIGIN, or write ./${DEFAULT_FILE}`,
    );
  }
  if (file === undefined && flags.listen === undefined) {
    overrides.push({ key: 'listen', value: [':8080'], from: '--listen' });
  }
  return { file, overrides };
}

/** The file that was named or, if `implied`, that lies in the working directory. */
export function configFileOf(command: Command, implied: boolean): string | undefined {
  const named = command.opts<Flags>().config;
  if (named !== undefined) return named;
  return implied && existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined;
}

/** `--listen` or `HOLDFAST_LISTEN`, whichever gave the value. */
function nameOf(command: Command, flag: keyof Flags): string {
  const option = command.options.find((each) => each.attributeName() === flag);
  const fromEnvironment = command.getOptionValueSource(flag) === 'env';
  return (fromEnvironment ? option?.envVar : option?.long) ?? flag;
}

/** Left as it is when it is no number: the schema says so in its own words. */
function wholeNumber(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : text;
}

function accessLogOf(target: string | undefined): unknown {
  if (target === undefined || target === 'stdout' || target === 'off') return target;
  // Relative to where the flag was typed, not to the file.
  return { file: resolve(target) };
}
