/** What every benchmark's result begins with, so that it can be read and compared later. Pure. */
import type { Machine } from './machine.ts';

export interface Envelope {
  /** `edge`, `mesh`, `homes`, `datapath`, `scale`. */
  readonly bench: string;
  /** Wall clock, ISO 8601 in UTC. */
  readonly takenAt: string;
  /** What was typed, from `holdfast` on. */
  readonly command: string;
  readonly machine: Machine;
  /** Programs that took part, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** How it was measured, in sentences. */
  readonly method: readonly string[];
}

/** Figures that are no ratios: counts, and times of a simulated clock. */
export interface FactTable {
  readonly name: string;
  readonly about: string;
  readonly head: readonly string[];
  /** As many cells as `head`; the first names the row. */
  readonly rows: readonly (readonly string[])[];
}

/** Lays out rows of cells; `right` lists the columns that are aligned to the right. */
export type Layout = (rows: readonly (readonly string[])[], right: readonly number[]) => string;

/** The lines with which every report for people begins. */
export function envelopeLines({ machine, versions, command, takenAt, method }: Envelope): string[] {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    command,
    `${takenAt}, kernel ${machine.kernel}, ${machine.cpus} × ${machine.cpuModel}, Node ${machine.node}`,
    ...(programs.length === 0 ? [] : [programs.join(', ')]),
    ...method,
  ];
}

/** A table of facts as lines of text. */
export function factLines(table: FactTable, layout: Layout): string[] {
  const right = table.head.map((_, i) => i).slice(1);
  return [`${table.name} · ${table.about}`, layout([table.head, ...table.rows], right)];
}
