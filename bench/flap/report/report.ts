/** All forms of the flap benchmark's report. */
export { type Change, type Comparison, compare } from './compare.ts';
export { renderComparison } from './compare-table.ts';
export { renderCsv } from './csv.ts';
export { renderMarkdown } from './markdown.ts';
export { renderHtml } from './page.ts';
export { parseResult } from './result-file.ts';
export { renderTable } from './table.ts';
