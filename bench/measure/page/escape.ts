/**
 * Text for HTML. Names and error texts come from outside (`--server-command`, scenario files, what
 * programs print), so everything that goes into a page goes through here. A core without IO.
 */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** HTML that {@link html} does not escape again. Only made there and by {@link joined}. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

export type Content = Markup | string | number | readonly Content[];

/** Safe between tags and inside quoted attributes. Control characters become visible. */
export function escapeHtml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[&<>"']/g, (char) => ENTITIES[char] as string)
    .replace(CONTROLS, (char) => String.fromCodePoint(0x2400 + Math.min(char.charCodeAt(0), 0x21)));
}

// Written as numbers: as characters they would be invisible here too. Tab and newline are text.
const CONTROLS = new RegExp(
  `[${[...controlCodes()].map((code) => `\\u${code.toString(16).padStart(4, '0')}`).join('')}]`,
  'g',
);

function* controlCodes(): Generator<number> {
  for (let code = 0; code < 0x20; code++) if (code !== 0x09 && code !== 0x0a) yield code;
  yield 0x7f;
}

/** A template whose values are escaped unless they are {@link Markup}; lists are joined. */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  let text = parts[0] as string;
  for (const [i, value] of values.entries()) text += textOf(value) + parts[i + 1];
  return new Markup(text);
}

export const NOTHING = new Markup('');

function textOf(value: Content): string {
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return value.map(textOf).join('');
}

/** JSON for a `<script type="application/json">`: nothing in it can end the element. */
export function jsonForScript(value: unknown): Markup {
  return new Markup(
    JSON.stringify(value)
      .replaceAll('<', '\\u003c')
      .replaceAll('\u2028', '\\u2028')
      .replaceAll('\u2029', '\\u2029'),
  );
}
