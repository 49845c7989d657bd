/** Text in columns, for terminals. */

/** Left-aligned; longer text is cut, with an ellipsis to show it. */
export function fit(text: string, width: number): string {
  const chars = [...text];
  if (chars.length <= width) return text + ' '.repeat(width - chars.length);
  return width < 1 ? '' : `${chars.slice(0, width - 1).join('')}…`;
}

/** Cut to `width` without filling up. */
export const cut = (text: string, width: number): string => fit(text, width).trimEnd();

/** Right-aligned; never cut. */
export const right = (text: string, width: number): string =>
  ' '.repeat(Math.max(0, width - [...text].length)) + text;

/** `12.3` from 12 340 ms. */
export const seconds = (ms: number, digits = 1): string => (ms / 1_000).toFixed(digits);

/** `20.1`, or a dash where nothing was measured. */
export const milliseconds = (ms: number | null): string =>
  ms === null ? '–' : ms.toFixed(ms < 10 ? 2 : 1);

/** `████░░░░` */
export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

/** Breaks text between words. A word longer than `width` stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? lines : [...lines, line];
}
