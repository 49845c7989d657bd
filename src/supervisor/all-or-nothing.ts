/** One configuration for all workers, or the old one for all. A core without IO. */
import type { Config } from '../config/schema.ts';
import type { Failure } from './messages.ts';

/** A worker that can take a configuration over. */
export interface Applier {
  /** Resolves to what went wrong, in which case nothing was changed. Never rejects. */
  apply(config: Config): Promise<Failure | undefined>;
  /** Ends it; its replacement starts with the configuration that is valid then. */
  kill(): void;
}

/**
 * Gives every worker the next configuration. If one refuses, those that took it get the previous one
 * back; one that cannot go back is ended, since between two configurations is no place to be.
 * Never rejects; resolves to the first refusal, after which all have the previous configuration.
 */
export async function applyToAll(
  workers: readonly Applier[],
  next: Config,
  previous: Config,
): Promise<Failure | undefined> {
  const failures = await Promise.all(workers.map((worker) => worker.apply(next)));
  const first = failures.find((failure) => failure !== undefined);
  if (first === undefined) return undefined;
  const willing = workers.filter((_, i) => failures[i] === undefined);
  await Promise.all(
    willing.map(async (worker) => {
      if ((await worker.apply(previous)) !== undefined) worker.kill();
    }),
  );
  return first;
}
