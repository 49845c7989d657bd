/** Files that a command will write when its work is done. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ExitError, exitCodes } from './exit.ts';

/**
 * A run of half an hour must not end with "no such directory": asks now whether each file can be
 * written. Values are what was given to the options; `-` is standard output.
 * @throws ExitError with the usage code and the option's name.
 */
export function requireWritable(files: Readonly<Record<string, string | undefined>>): void {
  for (const [option, file] of Object.entries(files)) {
    if (file === undefined || file === '-') continue;
    const why = whyNot(file);
    if (why !== undefined) throw new ExitError(exitCodes.usage, `${option}: ${why}`);
  }
}

function whyNot(file: string): string | undefined {
  const directory = dirname(file);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return `${file} is a directory; name a file`;
  if (found === undefined && statSync(directory, { throwIfNoEntry: false }) === undefined) {
    return `the directory ${directory} does not exist; make it first`;
  }
  try {
    accessSync(found === undefined ? directory : file, constants.W_OK);
    return undefined;
  } catch {
    return `${file} cannot be written; name a file elsewhere`;
  }
}
