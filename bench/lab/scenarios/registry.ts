/** The scenarios that come with holdfast, and those of the user's own files. */
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LabError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';
import { loadScenario } from './load.ts';
import type { Scenario } from './schema.ts';

const ENDING = '.yaml';

const directory = (): URL => new URL('bench/scenarios/', packageRoot());

/** Names of the scenarios that come with holdfast, in order of the alphabet. */
export function scenarioNames(): string[] {
  return readdirSync(directory())
    .filter((name) => name.endsWith(ENDING))
    .map((name) => basename(name, ENDING))
    .sort();
}

const known = new Map<string, Scenario>();

/** Reads one that comes with holdfast. @throws LabError `ERR_LAB_USAGE` for an unknown name. */
export function scenarioNamed(name: string): Scenario {
  const read = known.get(name);
  if (read !== undefined) return read;
  const names = scenarioNames();
  if (!names.includes(name)) {
    throw new LabError(
      `no scenario "${name}"; write a file name with a slash or an ending in ${ENDING}, or one of: ${names.join(', ')}`,
      'ERR_LAB_USAGE',
    );
  }
  const scenario = loadScenario(fileURLToPath(new URL(`${name}${ENDING}`, directory())));
  known.set(name, scenario);
  return scenario;
}

/** All that come with holdfast. */
export const scenarios = (): Scenario[] => scenarioNames().map(scenarioNamed);

/**
 * What a user names: `flap-1s`, or a file of their own, `./my.yaml`.
 * @throws LabError `ERR_LAB_USAGE` for an unknown name, ConfigError for a wrong file.
 */
export function scenarioOf(word: string): Scenario {
  return /[/\\]|\.ya?ml$/.test(word) ? loadScenario(word) : scenarioNamed(word);
}
