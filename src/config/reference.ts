/** The reference page, printed from the schema so that it cannot lag behind. A core without IO. */
import { annotatedSchema, type JsonSchema } from './json-schema.ts';

const INTRODUCTION = `# Configuration reference

This page is printed from the schema that checks every file (\`src/config/schema.ts\`). Renew it with
\`holdfast schema --markdown > docs/reference/config.md\`.

The file is YAML. \`holdfast validate FILE\` names everything wrong with it at once, each with file,
line, column and a way to mend it. Unknown keys are errors. A JSON Schema for editors is next to this
page: begin a file with \`# yaml-language-server: $schema=…/config.schema.json\`.

**Values from outside.** Inside a text, \`\${NAME}\` is the environment variable, \`\${NAME:-default}\` has
a default for when it is unset or empty, and \`\${file:/path}\` is the content of a file without its last
line break. A missing variable or file is an error. \`$\${\` is a literal \`\${\`. An unquoted \`\${PORT}\` may
become a number, true or false; in quotes it stays a text. Relative file names start from the directory
of the configuration file.

**Precedence.** A flag wins over its environment variable, which wins over the file:
\`--listen\`/\`HOLDFAST_LISTEN\`, \`--to\`/\`HOLDFAST_TO\` (replaces all sites), \`--workers\`/\`HOLDFAST_WORKERS\`,
\`--admin\`/\`HOLDFAST_ADMIN\`, \`--log-level\`/\`HOLDFAST_LOG_LEVEL\`, \`--access-log\`/\`HOLDFAST_ACCESS_LOG\`.

Units are the last part of a name: \`Ms\` is milliseconds, \`S\` seconds, \`Bytes\` bytes.
`;

interface Section {
  readonly titles: string[];
  readonly schema: JsonSchema;
}

/** The whole page, Markdown. */
export function configReference(): string {
  return `${INTRODUCTION}\n${referenceSections(annotatedSchema())}`;
}

/** A section for each map of keys within a schema, Markdown. */
export function referenceSections(schema: JsonSchema): string {
  const sections = new Map<string, Section>();
  collect('', schema, sections);
  return [...sections.values()].map(sectionText).join('\n');
}

/** Depth first, so that a map's own keys come right before those of the maps inside it. */
function collect(title: string, schema: JsonSchema, sections: Map<string, Section>): void {
  if (schema.properties !== undefined) {
    const identity = JSON.stringify(schema);
    const known = sections.get(identity);
    if (known !== undefined) {
      known.titles.push(title);
      return;
    }
    sections.set(identity, { titles: [title], schema });
    for (const [key, child] of Object.entries(schema.properties)) {
      collect(title === '' ? key : `${title}.${key}`, child, sections);
    }
  }
  if (typeof schema.additionalProperties === 'object') {
    const name = title.endsWith('routes') ? '<path>' : '<host>';
    collect(`${title}.${name}`, schema.additionalProperties, sections);
  }
  if (schema.items !== undefined) collect(`${title}[]`, schema.items, sections);
  for (const form of schema.anyOf ?? []) collect(title, form, sections);
}

function sectionText({ titles, schema }: Section): string {
  const title = titles.map((each) => (each === '' ? 'Top level' : `\`${each}\``)).join(' and ');
  const lines = [`## ${title}`, ''];
  const about = [sentence(schema.description), sentence(schema.shorthand?.text)].filter(Boolean);
  if (about.length > 0) lines.push(about.join(' '), '');
  lines.push(...referenceTable(schema));
  return `${lines.join('\n')}\n`;
}

/** The keys of one map as a Markdown table. */
export function referenceTable(schema: JsonSchema): string[] {
  const rows = Object.entries(schema.properties ?? {}).map(([key, child]) => [
    `\`${key}\``,
    typeText(child),
    schema.required?.includes(key) ? '**needed**' : defaultText(child),
    [sentence(child.description), itemShorthand(child)].filter(Boolean).join(' '),
  ]);
  return table([['key', 'value', 'default', 'meaning'], ...rows]);
}

/** A Markdown table with aligned columns; the first row is its head. */
function table(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = cells;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)];
}

function itemShorthand(schema: JsonSchema): string {
  return schema.shorthand?.form === 'item' ? sentence(schema.shorthand.text) : '';
}

function sentence(text: string | undefined): string {
  if (text === undefined) return '';
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return capital.endsWith('.') ? capital : `${capital}.`;
}

function defaultText({ default: value }: JsonSchema): string {
  if (value === undefined) return '';
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) {
    return Array.isArray(value) ? 'none' : '';
  }
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function typeText(schema: JsonSchema): string {
  if (schema.enum !== undefined) return choices(schema.enum);
  if (schema.const !== undefined) return choices([schema.const]);
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(' or ');
  switch (schema.type) {
    case 'integer':
    case 'number':
      return `${schema.type === 'integer' ? 'whole number' : 'number'}${rangeText(schema)}`;
    case 'boolean':
      return '`true` or `false`';
    case 'array':
      return `list of ${typeText(schema.items ?? {})}`;
    case 'object':
      return schema.properties === undefined
        ? 'map'
        : `map: ${Object.keys(schema.properties)
            .map((key) => `\`${key}\``)
            .join(', ')}`;
    case 'null':
      return '`null`';
    default:
      return 'text';
  }
}

function choices(values: readonly unknown[]): string {
  return values.map((value) => `\`${String(value)}\``).join(' or ');
}

function rangeText({ minimum, maximum }: JsonSchema): string {
  if (minimum !== undefined && maximum !== undefined) return `, ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, at least ${minimum}`;
  return '';
}
