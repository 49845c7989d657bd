/** The configuration's JSON Schema, for editors and for the reference page. A core without IO. */
import { z } from 'zod';
import { configSchema } from './schema.ts';
import type { Shorthand } from './schema-values.ts';

/** The part of JSON Schema that the configuration uses. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  /** Ours: a shorter way to write the value. Not in the printed schema. */
  readonly shorthand?: Shorthand;
}

/** As the schema has it, with the marks of shorthands still in place. */
export function annotatedSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // The pattern says the same in a way that every editor knows.
      if (jsonSchema.format === 'starts_with') delete jsonSchema.format;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  }) as JsonSchema;
}

/** Standard JSON Schema (draft 2020-12) of the file, short forms included. */
export function configJsonSchema(): JsonSchema {
  return { title: 'holdfast configuration', ...expanded(annotatedSchema()) } as JsonSchema;
}

/** The text of `docs/reference/config.schema.json`: short lists stay on one line. */
export function configJsonSchemaText(): string {
  const text = JSON.stringify(configJsonSchema(), null, 2);
  return `${text.replaceAll(/\[\s+([^[\]{}]+?)\s+\]/g, (_, items: string) => `[${items.replaceAll(/\s*\n\s*/g, ' ')}]`)}\n`;
}

function expanded(schema: JsonSchema): JsonSchema {
  const { shorthand, ...rest } = schema;
  const inner = descended(rest);
  if (shorthand === undefined) return inner;
  const { description, default: fallback, ...form } = inner;
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [...shortForms(shorthand, inner), form],
  };
}

function descended(schema: JsonSchema): JsonSchema {
  const { properties, additionalProperties, items, anyOf } = schema;
  return {
    ...schema,
    ...(properties && { properties: mapped(properties) }),
    ...(typeof additionalProperties === 'object' && {
      additionalProperties: expanded(additionalProperties),
    }),
    ...(items && { items: expanded(items) }),
    ...(anyOf && { anyOf: anyOf.map(expanded) }),
  };
}

function mapped(properties: Readonly<Record<string, JsonSchema>>): Record<string, JsonSchema> {
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [key, expanded(schema)]),
  );
}

function shortForms(shorthand: Shorthand, schema: JsonSchema): JsonSchema[] {
  switch (shorthand.form) {
    case 'string':
      return [{ type: 'string' }];
    case 'string or array':
      return [{ type: 'string' }, { type: 'array', minItems: 1 }];
    case 'true':
      return [{ const: true }];
    case 'item':
      return schema.items === undefined ? [] : [schema.items];
  }
}
