/** A comparison as lines for a terminal. Pure. */
import { wrap } from '../../lab/report/text.ts';
import type { Change, Comparison } from './compare.ts';
import { clean } from './table.ts';

const WIDTH = 78;
const MISSING_SHOWN_MAX = 20;

/** Regressions first; the last line says how it came out. */
export function renderComparison(comparison: Comparison): string[] {
  const { regressions, improvements, compared, missing, notes } = comparison;
  const lines = [
    ...section('Worse', regressions),
    ...section('Better', improvements),
    ...missing.slice(0, MISSING_SHOWN_MAX).flatMap((text) => wrap(clean(text), WIDTH)),
  ];
  if (missing.length > MISSING_SHOWN_MAX)
    lines.push(`and ${missing.length - MISSING_SHOWN_MAX} more`);
  for (const note of notes) lines.push(...wrap(clean(note), WIDTH));
  const rows = `${compared} ${compared === 1 ? 'row' : 'rows'} compared`;
  if (regressions.length === 0) lines.push(`No regression: ${rows}.`);
  else
    lines.push(
      `${regressions.length} ${regressions.length === 1 ? 'regression' : 'regressions'}: ${rows}.`,
    );
  return lines;
}

function section(title: string, changes: readonly Change[]): string[] {
  if (changes.length === 0) return [];
  const lines = [title];
  for (const change of changes) {
    const { scenario, contender, family } = change;
    lines.push(
      ...wrap(clean(`  ${scenario}, ${contender}, IPv${family}`), WIDTH).map((line) => `  ${line}`),
    );
    lines.push(`    ${change.title}: ${change.old} → ${change.new}`);
  }
  return [...lines, ''];
}
