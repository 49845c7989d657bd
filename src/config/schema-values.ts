/** Pieces that several parts of the schema are made of. */
import { z } from 'zod';
import { AddressError } from './address.ts';

export const HOUR_MS = 3_600_000;
export const MIB = 1_048_576;

/** A time of whole milliseconds. */
export const ms = (min: number, max: number) => z.int().min(min).max(max);

/** Tells the JSON Schema and the reference page of a shorter form that a value may be written in. */
export interface Shorthand {
  /** JSON types of the shorter form; `item` is that of the list's entries. */
  readonly form: 'string' | 'string or array' | 'true' | 'item';
  readonly text: string;
}

export const shorthand = (form: Shorthand['form'], text: string): { shorthand: Shorthand } => ({
  shorthand: { form, text },
});

/** A text that a parser of ours understands; the parser's error text becomes the user's. */
export function parsed<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

/** `"x"` stands for `["x"]` wherever a list of one is common. */
export function oneOrMore<T extends z.ZodType>(item: T) {
  return z
    .preprocess(
      (value) => (value === undefined || Array.isArray(value) ? value : [value]),
      z.array(item).min(1),
    )
    .meta(shorthand('item', 'one entry stands for a list of one'));
}

/** A bare text stands for an object with only this key. */
export const short = (key: string) => (value: unknown) =>
  typeof value === 'string' ? { [key]: value } : value;
