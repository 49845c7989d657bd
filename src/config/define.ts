/** Configurations written in a program instead of a file. */
import type { ConfigCheck } from './checks.ts';
import { completeConfig, type Origination } from './completion.ts';
import type { Config, ConfigInput } from './schema.ts';

export interface DefineOptions {
  /** Directory that relative names of certificates start from. Default: the working directory. */
  readonly baseDir?: string;
  /** Further checks, as in a file. */
  readonly check?: ConfigCheck;
}

/**
 * Checks a configuration of the same shape as the YAML file and fills in every default. Named
 * certificate files are read. Texts are taken as they are: `${…}` is only for files.
 * Throws {@link ConfigError} with every error found, in the words of the file's errors.
 */
export function defineConfig(input: ConfigInput, options: DefineOptions = {}): Config {
  return completeConfig(input, withoutPlaces, {
    baseDir: options.baseDir ?? process.cwd(),
    nowMs: Date.now(),
    check: options.check,
  }).config;
}

const withoutPlaces: Origination = {
  locate: () => ({ file: '', line: 0, column: 0 }),
  shorten: (path) => path,
};
