/** Configuration files: YAML with expressions, flags and variables laid over it. */
import { dirname, resolve } from 'node:path';
import { AddressError } from './address.ts';
import { FileError, readBoundedFile } from './bounded-file.ts';
import type { ConfigCheck, Purpose } from './checks.ts';
import { completeConfig, type Origination } from './completion.ts';
import { InterpolationError, type Surroundings } from './interpolation.ts';
import { type Listener, parseListener } from './listener.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { type Config, type ConfigInput, DEFAULT_ADMIN, DEFAULT_ADMIN_PORT } from './schema.ts';
import { YamlSource } from './yaml-source.ts';

const CONFIG_BYTES_MAX = 1_048_576;
const SECRET_BYTES_MAX = 65_536;

/** A flag or variable that replaces one top-level key of the file. */
export interface Override {
  readonly key: keyof ConfigInput;
  readonly value: unknown;
  /** What the user wrote it as: `--listen`, `HOLDFAST_LISTEN`. Named in problems. */
  readonly from: string;
}

export interface LoadOptions {
  /** Environment for `${NAME}`. Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Laid over the file; later ones win. */
  readonly overrides?: readonly Override[];
  /** Checks of other rooms, such as the router's of its patterns. */
  readonly check?: ConfigCheck;
  /** What it is read for. Default `edge`. An agent needs no sites and no certificates. */
  readonly purpose?: Purpose;
  /** Wall clock for the expiry of certificates. Default: now. */
  readonly nowMs?: number;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute; `undefined` when everything came from flags. */
  readonly file: string | undefined;
  readonly warnings: readonly ConfigProblem[];
  /** Values read by `${file:…}`: never to be shown. */
  readonly secrets: readonly string[];
}

/**
 * Reads a configuration file, or only the overrides when `file` is `undefined`.
 * Certificates and keys in the result are PEM texts, whatever the file names.
 * Throws {@link ConfigError} with every error found. Reads synchronously: at most 1 MiB per file.
 */
export function loadConfig(file: string | undefined, options: LoadOptions = {}): LoadedConfig {
  if (file === undefined) return parseConfig('{}', undefined, options);
  let text: string;
  try {
    text = readBoundedFile(file, CONFIG_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError([{ file, line: 0, column: 0, path: '', message: error.message }]);
  }
  return parseConfig(text, file, options);
}

/** As {@link loadConfig}, for a text already read. `file` gives the name in problems and the base of relative names. */
export function parseConfig(
  text: string,
  file: string | undefined,
  options: LoadOptions = {},
): LoadedConfig {
  const baseDir = file === undefined ? process.cwd() : dirname(resolve(file));
  const source = new YamlSource(file ?? '', text);
  const reading = source.read(surroundings(options.env ?? process.env, baseDir));
  if (reading.problems.length > 0) throw new ConfigError(reading.problems);
  const overrides = new Map((options.overrides ?? []).map((each) => [String(each.key), each]));
  const completed = completeConfig(
    overlaid(withSites(reading.value, options.purpose), overrides),
    origination(source, overrides),
    {
      baseDir,
      nowMs: options.nowMs ?? Date.now(),
      check: options.check,
      purpose: options.purpose,
      secrets: reading.secrets,
    },
  );
  return {
    config: completed.config,
    file: file === undefined ? undefined : resolve(file),
    warnings: [...reading.warnings, ...completed.warnings],
    secrets: reading.secrets,
  };
}

/**
 * Only the admin address of a file, which may be wrong everywhere else. `null` means `off`.
 * Throws {@link ConfigError} when the file cannot be read or the address cannot be understood.
 */
export function adminAddressOf(
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Listener | null {
  const problem = (message: string) =>
    new ConfigError([{ file, line: 0, column: 0, path: 'admin', message }]);
  try {
    const source = new YamlSource(file, readBoundedFile(file, CONFIG_BYTES_MAX));
    const { value } = source.read(surroundings(env, dirname(resolve(file))));
    const written = typeof value === 'object' && value !== null && 'admin' in value;
    const admin = written ? value.admin : undefined;
    if (admin === 'off' || admin === null) return null;
    return parseListener(typeof admin === 'string' ? admin : DEFAULT_ADMIN, DEFAULT_ADMIN_PORT);
  } catch (error) {
    if (!(error instanceof FileError || error instanceof AddressError)) throw error;
    throw problem(error.message);
  }
}

/** A file for an agent alone has nothing to say about HTTP. */
function withSites(value: unknown, purpose: Purpose | undefined): unknown {
  if (purpose !== 'agent' || typeof value !== 'object' || value === null) return value;
  return { sites: {}, ...value };
}

function overlaid(value: unknown, overrides: ReadonlyMap<string, Override>): unknown {
  if (overrides.size === 0) return value;
  // An empty file is a map without keys, once flags say what it should hold.
  const base = value === null ? {} : value;
  if (typeof base !== 'object' || Array.isArray(base)) return base;
  return { ...base, ...Object.fromEntries([...overrides].map(([key, each]) => [key, each.value])) };
}

function origination(source: YamlSource, overrides: ReadonlyMap<string, Override>): Origination {
  const overriding = (path: readonly (string | number)[]) => overrides.get(String(path[0]));
  return {
    locate: (path, atKey) => {
      const override = overriding(path);
      if (override !== undefined) return { file: override.from, line: 0, column: 0 };
      return source.file === '' ? { file: '', line: 0, column: 0 } : source.locate(path, atKey);
    },
    shorten: (path) => (overriding(path) === undefined ? source.shorten(path) : []),
  };
}

function surroundings(
  env: Readonly<Record<string, string | undefined>>,
  baseDir: string,
): Surroundings {
  return {
    variable: (name) => (Object.hasOwn(env, name) ? env[name] : undefined),
    file: (path) => {
      try {
        return readBoundedFile(resolve(baseDir, path), SECRET_BYTES_MAX);
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        throw new InterpolationError(`${resolve(baseDir, path)} ${error.message}`);
      }
    },
  };
}
