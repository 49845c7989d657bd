/** Measures contenders in turn, round after round, in this process. */
import type { Progress } from './progress.ts';
import { type Sample, type ScenarioResult, type ScenarioRun, summarize } from './report.ts';
import { orderOfRound } from './rounds.ts';

export interface Contest extends Omit<ScenarioRun, 'contenders' | 'absent'> {
  readonly rounds: number;
  readonly contenders: readonly {
    readonly name: string;
    /** @param round From 0; the same for all contenders of a round. */
    readonly measure: (round: number) => Sample | Promise<Sample>;
  }[];
}

/** How often `progress.done` is called in a contest. */
export const contestSteps = ({ rounds, contenders }: Contest): number => rounds * contenders.length;

/** @throws what a measurement throws, or the reason of `signal`. */
export async function runContest(
  contest: Contest,
  progress: Progress,
  signal: AbortSignal,
): Promise<ScenarioResult> {
  const { rounds, contenders, ...scenario } = contest;
  const samples = contenders.map(({ name }) => ({ name, samples: [] as Sample[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const place of orderOfRound([...contenders.keys()], round)) {
      signal.throwIfAborted();
      progress.step(`${contest.name}, round ${round + 1} of ${rounds}: ${contenders[place]?.name}`);
      // Signals and the progress line get a turn between measurements that never wait.
      await new Promise((resolve) => setImmediate(resolve));
      const sample = await contenders[place]?.measure(round);
      if (sample !== undefined) samples[place]?.samples.push(sample);
      progress.done();
    }
  }
  return summarize({ ...scenario, contenders: samples, absent: [] });
}
