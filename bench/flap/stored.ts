/** Results on disk: what was written by an earlier run, or by hand. */
import { FileError, readBoundedFile } from '../../src/config/bounded-file.ts';
import { LabError } from '../lab/errors.ts';
import { FLAP_FORMAT, type FlapResult } from './result.ts';

const FILE_BYTES_MAX = 268_435_456;

const LISTS = ['scenarios', 'contenders', 'cells', 'rows', 'failures'] as const;
const ROW_KEYS = ['scenario', 'contender', 'family', 'sessions', 'survivedPercent'] as const;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What is wrong with a value as a result, in words; `undefined` when it can be read. Looks at its
 * form as far as a comparison needs it.
 */
export function resultProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'is no result of "holdfast bench flap --json"';
  if (value.format !== FLAP_FORMAT) {
    return typeof value.format === 'string'
      ? `has the format ${JSON.stringify(value.format.slice(0, 40))}, not ${FLAP_FORMAT}: measure again with this version`
      : 'is no result of "holdfast bench flap --json"';
  }
  for (const key of LISTS) if (!Array.isArray(value[key])) return `has no list "${key}"`;
  for (const row of value.rows as unknown[]) {
    const missing = isObject(row) ? ROW_KEYS.find((key) => row[key] === undefined) : 'scenario';
    if (missing !== undefined) return `has a row without "${missing}"`;
  }
  return undefined;
}

/** @throws LabError `ERR_LAB_USAGE` when the file cannot be read or is no such result. */
export function readResult(file: string): FlapResult {
  try {
    const value: unknown = JSON.parse(readBoundedFile(file, FILE_BYTES_MAX));
    const problem = resultProblem(value);
    if (problem === undefined) return value as FlapResult;
    throw new LabError(`${file} ${problem}`, 'ERR_LAB_USAGE');
  } catch (error) {
    if (error instanceof FileError) throw new LabError(`${file} ${error.message}`, 'ERR_LAB_USAGE');
    if (error instanceof SyntaxError) throw new LabError(`${file} is no JSON`, 'ERR_LAB_USAGE');
    throw error;
  }
}
