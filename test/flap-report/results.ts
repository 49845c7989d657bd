/** Results to make reports of: small and real, large, and hostile. */
import { readFileSync } from 'node:fs';
import { parseResult } from '../../bench/flap/report/report.ts';
import type { FlapCell, FlapResult, FlapRow } from '../../bench/flap/result.ts';

const json = readFileSync(new URL('../flap/sample.json', import.meta.url), 'utf8');

export const sample = (): FlapResult => parseResult(json, 'sample.json');

/** As big as a full suite: many scenarios, servers and repetitions, both families, long series. */
export function large(): FlapResult {
  const small = sample();
  const contenders = ['holdfast', 'nginx', 'haproxy', 'caddy'].flatMap((server) =>
    [true, false].map((agent) => ({
      name: agent ? `${server}+agent` : server,
      server,
      agent,
      version: `${server}/1.2.3`,
    })),
  );
  const scenarios = Array.from({ length: 24 }, (_, i) => ({
    ...small.scenarios[i % small.scenarios.length]!,
    name: `scenario-${i}`,
  }));
  const cells: FlapCell[] = [];
  const rows: FlapRow[] = [];
  for (const { name: scenario } of scenarios) {
    for (const { name: contender, server, agent } of contenders) {
      for (const family of [4, 6] as const) {
        const key = { scenario, contender, server, agent, family };
        const like = (one: { agent: boolean }) => one.agent === agent;
        rows.push({ ...small.rows.find(like)!, ...key });
        const cell = small.cells.find(like)!;
        for (const repetition of [1, 2, 3]) {
          const long = Array.from({ length: 900 }, (_, i) => 1e6 + i * repetition);
          const throughput = { bucketMs: 100, bytesPerS: long, messagesPerS: long };
          const flips = Array.from({ length: 600 }, (_, i) => ({
            atMs: 2_000 + i * 100,
            from: i % 2 === 0 ? 'pop-a' : 'pop-b',
            to: i % 2 === 0 ? 'pop-b' : 'pop-a',
            convergenceMs: 5,
          }));
          cells.push({ ...cell, ...key, repetition, throughput, flips });
        }
      }
    }
  }
  const plannedCells = cells.length;
  return {
    ...small,
    complete: true,
    plannedCells,
    contenders,
    scenarios,
    cells,
    rows,
    failures: [],
  };
}

/** The sample with a text from outside wherever one can come from. */
export function hostile(text: string): FlapResult {
  const small = sample();
  const scenario = (name: string) => (name === 'single-flip' ? text : name);
  const contender = (name: string) => (name === 'nginx' ? `${text} ` : name);
  const renamed = <T extends { scenario: string; contender: string }>(one: T): T => ({
    ...one,
    scenario: scenario(one.scenario),
    contender: contender(one.contender),
  });
  return {
    ...small,
    suite: text,
    command: text,
    startedAt: text,
    machine: { ...small.machine, cpuModel: text, kernel: text },
    versions: { ...small.versions, [text]: text },
    scenarios: small.scenarios.map((one) => ({
      ...one,
      name: scenario(one.name),
      about: text,
      standsFor: text,
    })),
    contenders: small.contenders.map((one) => ({
      ...one,
      name: contender(one.name),
      server: text,
      version: text,
    })),
    cells: small.cells.map((cell) => ({
      ...renamed(cell),
      flips: cell.flips.map((flip) => ({ ...flip, from: text, to: text })),
      steps: [{ atMs: 1_000, type: text, text }],
      examples: { download: text },
      complaints: [text],
    })),
    rows: small.rows.map((row) => ({ ...renamed(row), complaints: [text] })),
    failures: small.failures.map((failure) => ({ ...renamed(failure), message: text })),
  };
}
