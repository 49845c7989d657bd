/** The frame of a report: one HTML file that needs nothing else and asks no network for anything. */
import { createHash } from 'node:crypto';
import { html, Markup, NOTHING } from './escape.ts';
import { STYLE } from './style.ts';

export interface PageParts {
  readonly title: string;
  readonly body: Markup;
  /** Style sheets besides the one of all reports. */
  readonly styles?: readonly string[];
  /** Programs of ours, run in order after the body. */
  readonly scripts?: readonly string[];
  /** Data for them, as elements that hold no program. */
  readonly data?: Markup;
}

/**
 * The browser runs only what is named by its hash here: markup that slipped into a report could do
 * nothing, and nothing is ever fetched (Content Security Policy Level 3).
 */
export function page({
  title,
  body,
  styles = [],
  scripts = [],
  data = NOTHING,
}: PageParts): string {
  const sheets = [STYLE, ...styles].map((sheet) => sheet.replaceAll('</', '<\\/'));
  const programs = scripts.map((script) => script.replaceAll('</', '<\\/'));
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${sheets.map(hashOf).join(' ')}`,
    `script-src ${programs.length === 0 ? "'none'" : programs.map(hashOf).join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<link rel="icon" href="data:,">
${sheets.map((sheet) => new Markup(`<style>${sheet}</style>\n`))}</head>
<body>
${body}
${data}
${programs.map((program) => new Markup(`<script>${program}</script>\n`))}</body>
</html>
`;
  return document.text;
}

const hashOf = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
