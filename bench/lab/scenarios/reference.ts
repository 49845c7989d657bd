/** The reference page of scenario files, printed from the schema so that it cannot lag behind. */
import { z } from 'zod';
import type { JsonSchema } from '../../../src/config/json-schema.ts';
import { referenceSections, referenceTable } from '../../../src/config/reference.ts';
import { ACTION_NAMES, actionAbout, actionKeys, scenarioSchema } from './schema.ts';

const INTRODUCTION = `# Scenario files

This page is printed from the schema that checks every file (\`bench/lab/scenarios/schema.ts\`). Renew
it with \`holdfast lab scenario-reference > docs/reference/scenario.md\`.

A scenario says who talks, what happens when, and what must come out. \`holdfast lab run ./mine.yaml\`
runs it once, \`holdfast bench flap --scenario ./mine.yaml\` against servers with and without the agent.
Those that come with holdfast lie in \`bench/scenarios/\`. Unknown keys are errors, named with file, line,
column and the nearest known key.

\`\`\`yaml
name: mine
about: the route moves, and two seconds later moves back
durationMs: 9000
tailMs: 3000
clients: {download: 2, websocket: 4, keepalive: 2}
events:
  - {atMs: 3000, do: flip, to: next}
  - {atMs: 5000, do: flip, to: best}
expected: {on: survive, off: lose}
\`\`\`

Units are the last part of a name: \`Ms\` is milliseconds, \`Bytes\` bytes.
`;

const EVENTS = `## Events

Each entry of \`events\` has \`do\`, one of the names below, the keys of that name, \`atMs\`, counted from the
moment when all clients run, and perhaps \`everyMs\`: a flip (or a withdrawal, announcement or drain) then
happens again and again with this period until \`tailMs\` before the end. Entries of \`before\` have no times.
`;

const json = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;

/** The whole page, Markdown. */
export function scenarioReference(): string {
  const schema = json(scenarioSchema);
  const { before, events, ...properties } = schema.properties ?? {};
  const list = (from: JsonSchema | undefined): JsonSchema => ({
    description: `${from?.description ?? ''} See Events below`,
    type: 'array',
    items: { type: 'object' },
  });
  const shown = { ...properties, before: list(before), events: list(events) };
  const pages = referenceSections({ ...schema, properties: shown });
  const actions = ACTION_NAMES.map((name) => {
    const about = actionAbout(name);
    const heading = `### \`${name}\`\n\n${about.charAt(0).toUpperCase()}${about.slice(1)}.\n`;
    const keys = actionKeys(name);
    if (Object.keys(keys.shape).length === 0) return heading;
    return `${heading}\n${referenceTable(json(keys)).join('\n')}\n`;
  });
  return `${INTRODUCTION}\n${pages}\n${EVENTS}\n${actions.join('\n')}`;
}
