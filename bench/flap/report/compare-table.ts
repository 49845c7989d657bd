/** A comparison as lines for a terminal. Pure. */
import { wrap } from '../../lab/report/text.ts';
import type { Change, Comparison } from './compare.ts';
import { clean } from './table.ts';

const WIDTH = 78;
const MISSING_SHOWN_MAX = 20;

/** Regressions first, old → new, median (least–greatest); the last line says how it came out. */
export function renderComparison(comparison: Comparison): string[] {
  const { regressions, improvements, compared, missing, notes } = comparison;
  const lines = [
    ...section('Worse than before: old → new, median (least–greatest)', regressions),
    ...section('Better than before', improvements),
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

/** Changes of one scenario and contender stand under one line. */
function section(title: string, changes: readonly Change[]): string[] {
  if (changes.length === 0) return [];
  const lines = [title];
  let last = '';
  for (const { scenario, contender, family, title: measure, old, new: now } of changes) {
    const where = clean(`${scenario}, ${contender}, IPv${family}`);
    if (where !== last) lines.push(...wrap(where, WIDTH - 2).map((line) => `  ${line}`));
    last = where;
    lines.push(`    ${measure}: ${old} → ${now}`);
  }
  return [...lines, ''];
}
