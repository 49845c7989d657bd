/** Reads a result that was written as JSON, perhaps by another version. A core without IO. */
import { z } from 'zod';
import { BenchError } from '../../measure/errors.ts';
import { FLAP_FORMAT, type FlapResult } from '../result.ts';

const spread = z
  .object({
    count: z.number(),
    median: z.number(),
    min: z.number(),
    max: z.number(),
    q1: z.number(),
    q3: z.number(),
  })
  .nullable();
const text = z.string().max(10_000);
const count = z.number().int().min(0);

/** What a comparison reads; the rest of the file is carried along unread. */
const readParts = z.looseObject({
  suite: text,
  seed: z.number(),
  complete: z.boolean(),
  machine: z.looseObject({ kernel: text, cpuModel: text, cpus: z.number() }),
  failures: z.array(z.looseObject({ scenario: text, contender: text })),
  rows: z.array(
    z.looseObject({
      scenario: text,
      contender: text,
      family: z.union([z.literal(4), z.literal(6)]),
      repetitions: count,
      sessions: z.looseObject({ started: count, survived: count }),
      connects: z.looseObject({ started: count, survived: count }).optional(),
      survivedPercent: spread,
      gapP50Ms: spread,
      gapP99Ms: spread,
      gapMaxMs: spread,
      connectP99Ms: spread,
      addedRttMs: spread,
      bytesPerS: spread,
      messagesPerS: spread,
    }),
  ),
});

/**
 * A result good enough to be compared with another; its cells are not looked at.
 * @param name Of the file, for messages.
 * @throws BenchError `ERR_BENCH_USAGE` saying what is wrong with it.
 */
export function parseResult(json: string, name: string): FlapResult {
  const wrong = (why: string, cause?: unknown) =>
    new BenchError(
      `${name} is no result of "holdfast bench flap": ${why}`,
      'ERR_BENCH_USAGE',
      cause,
    );
  let data: unknown;
  try {
    data = JSON.parse(json);
  } catch (error) {
    throw wrong('it is not JSON', error);
  }
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw wrong('it is no object');
  const { format } = data as { format?: unknown };
  if (format !== FLAP_FORMAT) {
    const shown = typeof format === 'string' ? `"${format.slice(0, 60)}"` : 'missing';
    throw wrong(`its format is ${shown}, this version reads "${FLAP_FORMAT}"`);
  }
  const parsed = readParts.safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = issue?.path.join('.') ?? '';
    throw wrong(`${path === '' ? '' : `${path}: `}${issue?.message ?? 'unreadable'}`);
  }
  return parsed.data as unknown as FlapResult;
}
