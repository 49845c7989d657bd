/** Aligned columns for terminals. A core without IO. */

export interface TableOptions {
  /** Spaces before every line. Default 0. */
  readonly indent?: number;
  /** Columns whose cells are aligned to the right, from 0. */
  readonly right?: readonly number[];
}

/** Rows as lines; cells of one column have the same width, the last column is not padded. */
export function columns(rows: readonly (readonly string[])[], options: TableOptions = {}): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const right = new Set(options.right ?? []);
  const line = (row: readonly string[]) =>
    row.map((cell, i) =>
      right.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
    );
  const indent = ' '.repeat(options.indent ?? 0);
  return rows.map((row) => `${indent}${line(row).join('  ')}`.trimEnd()).join('\n');
}

/** `3 d 4 h`, `12 min 5 s`, `820 ms`: the two largest units. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.floor(ms / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** `1 session`, `2 sessions`. */
export function sessionsText(count: number): string {
  return `${count} ${count === 1 ? 'session' : 'sessions'}`;
}
