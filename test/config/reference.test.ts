import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  configJsonSchema,
  configJsonSchemaText,
  type JsonSchema,
} from '../../src/config/json-schema.ts';
import { configReference } from '../../src/config/reference.ts';

const committed = (name: string) =>
  readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8');

test('the committed reference page is the one that the schema prints', () => {
  assert.ok(
    committed('config.md') === configReference(),
    'docs/reference/config.md is old: node bin/holdfast.js schema --markdown > docs/reference/config.md',
  );
});

test('the committed JSON Schema is the one that the schema prints', () => {
  assert.ok(
    committed('config.schema.json') === configJsonSchemaText(),
    'docs/reference/config.schema.json is old: node bin/holdfast.js schema > docs/reference/config.schema.json',
  );
});

test('every key of the file is described', () => {
  const silent: string[] = [];
  const visit = (path: string, schema: JsonSchema) => {
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      const inner = [child, ...(child.anyOf ?? [])];
      const described = inner.some((each) => each.description !== undefined);
      if (!described) silent.push(`${path}.${key}`);
      visit(`${path}.${key}`, child);
    }
    if (typeof schema.additionalProperties === 'object') visit(path, schema.additionalProperties);
    if (schema.items !== undefined) visit(path, schema.items);
    for (const each of schema.anyOf ?? []) visit(path, each);
  };
  visit('', configJsonSchema());
  assert.deepEqual(silent, []);
});

test('the short forms are in the JSON Schema, the marks that make them are not', () => {
  const schema = configJsonSchema();
  const listen = schema.properties?.listen?.items;
  assert.deepEqual(listen?.anyOf?.[0], { type: 'string' });
  assert.doesNotMatch(JSON.stringify(schema), /"shorthand"/);
  assert.deepEqual(JSON.parse(configJsonSchemaText()), schema);
});
