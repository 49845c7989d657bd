/** What is wrong with a configuration, where, and how to mend it. A core without IO. */
import { HoldfastError } from '../errors.ts';

/** Keys and list positions from the top of the configuration to one value. */
export type ConfigPath = readonly (string | number)[];

/** Where a value was written. */
export interface ConfigPlace {
  /** File name, flag (`--listen`) or variable (`HOLDFAST_LISTEN`); empty when there is no source. */
  readonly file: string;
  /** From 1; 0 when the source has no lines. */
  readonly line: number;
  /** From 1; 0 when the source has no lines. */
  readonly column: number;
}

export interface ConfigProblem extends ConfigPlace {
  /** `sites["app.example.com"].routes["/ws/*"].to[0]`; empty for the whole file. */
  readonly path: string;
  /** What is wrong and how to mend it. */
  readonly message: string;
}

/** Finds where the value at a path was written, or its nearest existing parent. */
export type Locate = (path: ConfigPath) => ConfigPlace;

/**
 * The configuration cannot be used. Nothing was changed.
 * `code` is `ERR_CONFIG`; `problems` holds every error found, in the order of the file.
 */
export class ConfigError extends HoldfastError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'), {
      code: 'ERR_CONFIG',
      source: 'usage',
      retryable: false,
    });
    this.problems = problems;
  }
}

/** `file:line:column: path: text`, without the parts that are unknown. */
export function formatProblem(problem: ConfigProblem): string {
  const place =
    problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  return [place, problem.path, problem.message].filter((part) => part !== '').join(': ');
}

/** Writes a path the way it would be typed in a program. */
export function formatPath(path: ConfigPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** Order of the file; problems without a line come first. */
export function byPlace(a: ConfigProblem, b: ConfigProblem): number {
  return a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column;
}
