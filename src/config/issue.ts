/** Turns what the schema found into sentences for people. A core without IO. */
import { z } from 'zod';
import { nearest } from './nearest.ts';
import type { ConfigPath } from './problem.ts';

/** One error of the schema, in our words. */
export interface SchemaFinding {
  readonly path: ConfigPath;
  readonly message: string;
  /** True when the key, not the value, is at fault. */
  readonly atKey: boolean;
}

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

/** Between the texts of several keys. Texts show keys as JSON, which escapes this character. */
const SEPARATOR = '\u0000';

/** Error texts for `safeParse(value, { error: issueText, reportInput: true })`. */
export function issueText(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `is missing: ${expectedText(issue.expected)} is needed`
        : `expected ${expectedText(issue.expected)}, got ${shown(issue.input)}`;
    case 'invalid_value':
      return choiceText(issue.input, issue.values.map(String));
    case 'too_small':
    case 'too_big':
      return boundText(issue);
    case 'invalid_format':
      return formatText(issue);
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKeyText(key, issue.inst)).join(SEPARATOR);
    case 'invalid_union':
      return unionText(issue.input, issue.inst);
    default:
      return undefined;
  }
}

/** Flattens unions and lists of unknown keys: one finding for each mistake of the user. */
export function findingsOf(issues: readonly Issue[], prefix: ConfigPath = []): SchemaFinding[] {
  return issues.flatMap((issue): SchemaFinding[] => {
    const path = [...prefix, ...issue.path.map(plainKey)];
    if (issue.code === 'unrecognized_keys') {
      const texts = issue.message.split(SEPARATOR);
      return issue.keys.map((key, i) => ({
        path: [...path, key],
        message: texts[i] ?? issue.message,
        atKey: true,
      }));
    }
    if (issue.code === 'invalid_union') {
      const branch = fittingBranch(issue.errors);
      if (branch !== undefined) return findingsOf(branch, path);
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map((inner) => ({ path, message: inner.message, atKey: true }));
    }
    return [{ path, message: issue.message, atKey: false }];
  });
}

/** The only alternative whose outer shape the value has, if there is exactly one best. */
function fittingBranch(branches: readonly Issue[][]): Issue[] | undefined {
  const fitting = branches
    .filter((issues) => issues.length > 0 && !issues.some(isOuterMismatch))
    .sort((a, b) => a.length - b.length);
  const [first, second] = fitting;
  return second !== undefined && second.length === first?.length ? undefined : first;
}

function isOuterMismatch(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code !== 'unrecognized_keys' && issue.code !== 'custom';
}

function unknownKeyText(key: string, schema: unknown): string {
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const guess = nearest(key, known);
  const mend =
    guess !== undefined
      ? `did you mean "${guess}"?`
      : known.length <= 12
        ? `known keys are ${known.join(', ')}`
        : 'see docs/reference/config.md for the known keys';
  return `unknown key ${quoted(key)}, ${mend}`;
}

function choiceText(input: unknown, choices: readonly string[]): string {
  const guess = typeof input === 'string' ? nearest(input, choices) : undefined;
  const list = `write ${enumeration(choices)}`;
  return `${shown(input)} is not known: ${guess === undefined ? list : `did you mean "${guess}"? Or ${list}`}`;
}

function boundText(
  issue: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig>,
): string {
  const small = issue.code === 'too_small';
  const bound = String(small ? issue.minimum : issue.maximum);
  switch (issue.origin) {
    case 'array':
      if (small && bound === '1') return 'needs at least one entry';
      return small ? `needs at least ${bound} entries` : `may have at most ${bound} entries`;
    case 'string':
      if (small && bound === '1') return 'must not be empty';
      return small ? `needs at least ${bound} characters` : `may have at most ${bound} characters`;
    default:
      return small
        ? `${shown(issue.input)} is too small: the least is ${bound}`
        : `${shown(issue.input)} is too large: the most is ${bound}`;
  }
}

function formatText(issue: z.core.$ZodRawIssue<z.core.$ZodIssueInvalidStringFormat>): string {
  if (issue.format === 'starts_with') {
    return `${shown(issue.input)} must start with "${String(issue.prefix)}"`;
  }
  return `${shown(issue.input)} has a wrong character or length: it must match ${String(issue.pattern)}`;
}

function unionText(input: unknown, schema: unknown): string {
  const options = schema instanceof z.ZodUnion ? schema.options : [];
  const words = options.flatMap((option) =>
    option instanceof z.ZodEnum ? option.options.map(String) : [],
  );
  const maps = options.flatMap((option) =>
    option instanceof z.ZodObject ? [`{${Object.keys(option.shape).join(', ')}: …}`] : [],
  );
  const guess = typeof input === 'string' ? nearest(input, words) : undefined;
  const question = guess === undefined ? '' : `did you mean "${guess}"? Or `;
  return `${shown(input)} does not fit: ${question}write ${enumeration([...words, ...maps])}`;
}

function enumeration(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} or ${last}`;
}

function expectedText(expected: string): string {
  switch (expected) {
    case 'string':
      return 'a text';
    case 'int':
      return 'a whole number';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
    case 'record':
      return 'a map of keys and values';
    default:
      return expected;
  }
}

/** A value as an error text shows it: short, and on one line. */
function shown(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null) return 'nothing (null)';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return String(value);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);
}

function plainKey(key: PropertyKey): string | number {
  return typeof key === 'symbol' ? key.toString() : key;
}
