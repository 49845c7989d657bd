/** What healing needs of a machine, for people. A core without IO. */
import type { Check } from '../datapath/doctor.ts';
import { columns } from './table.ts';

/** `ok`, `missing`, `later` (wanted, but healing works without it or it can come later). */
function stateOf({ ok, required }: Check): string {
  if (ok) return 'ok';
  return required ? 'missing' : 'later';
}

/** One line per check, and how to mend each that failed. */
export function checkTable(checks: readonly Check[]): string {
  const rows = checks.map((check) => [stateOf(check), check.name, check.found, check.needed]);
  const table = columns([['', 'CHECK', 'FOUND', 'NEEDED'], ...rows]);
  const mends = checks.filter(({ ok }) => !ok).map(({ name, mend }) => `  ${name}: ${mend}`);
  return mends.length === 0 ? `${table}\n` : `${table}\n\nTo mend:\n${mends.join('\n')}\n`;
}
