import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { renderHtml } from '../../bench/flap/report/report.ts';
import { escapeHtml } from '../../bench/measure/page/escape.ts';
import { Browser, noBrowser } from './browser.ts';
import { hostile, large, sample } from './results.ts';

const ATTACKS = [
  '<script>window.broken = 1</script>',
  '</script><script>window.broken = 1</script>',
  '"><img src=x onerror="window.broken = 1">',
  "'><svg onload='window.broken = 1'>",
  '</title></style></table></pre><iframe src="javascript:parent.broken=1">',
  '<!--<script>',
  ']]>\u2028\u2029\u0000\u001b[31m\ud800',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: hostile input, not a template.
  '${window.broken = 1}\\u003cscript>',
];

/** Tags and attribute names of the page, in order: what its structure is made of. */
function structure(html: string): string {
  const outside = html.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '<$1></$1>');
  const tags = outside.match(/<[!/a-z][^>]*>/gi) ?? [];
  return tags.map((tag) => tag.replace(/"[^"]*"/g, '""')).join('\n');
}

test('no text from outside changes the structure of the page', () => {
  const expected = structure(renderHtml(hostile('plain')));
  const piece = fc.oneof(
    fc.constantFrom(...ATTACKS, '<', '>', '"', "'", '&', '&lt;', '/>', '-->', '=', '`'),
    fc.string({ unit: 'binary', maxLength: 8 }),
  );
  const text = fc
    .array(piece, { minLength: 1, maxLength: 5 })
    .map((pieces) => `x${pieces.join('')}`);
  fc.assert(
    fc.property(text, (outside) => {
      assert.equal(structure(renderHtml(hostile(outside))), expected);
    }),
    { numRuns: 60, examples: ATTACKS.map((attack) => [`x${attack}`]) },
  );
});

test('escaped text is what it was, between tags and in attributes', () => {
  assert.equal(
    escapeHtml(`<a href="x" id='y'>&`),
    '&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;',
  );
  assert.equal(escapeHtml('\u001b[31m\u007f\n'), '\u241b[31m\u2421\n');
});

test('the page asks for nothing from outside and lets the browser run its own programs only', () => {
  const html = renderHtml(sample());
  const outside = html.replace(/<script\b[^>]*>[\s\S]*?<\/script>/g, '');
  assert.doesNotMatch(outside, /(?:src|href)="(?!#|data:)/);
  assert.doesNotMatch(outside, /url\(|@import/);
  assert.match(html, /default-src &#39;none&#39;/);
  assert.doesNotMatch(html, /unsafe-inline|unsafe-eval/);
});

test('a run as big as a full suite makes a page of bounded size', () => {
  const result = large();
  const html = renderHtml(result);
  assert.ok(html.length < 3_000_000, `${html.length} bytes`);
  assert.ok(html.length < JSON.stringify(result).length / 3);
});

test('a run that measured nothing makes a page too', () => {
  const nothing = { ...sample(), cells: [], rows: [], failures: [], complete: false };
  const html = renderHtml(nothing);
  assert.match(html, /not complete/);
});

test('numbers are given as text beside every plot', () => {
  const html = renderHtml(sample());
  const plots = html.match(/role="img" aria-label="[^"]+"/g) ?? [];
  const numbers = html.match(/<summary>Numbers<\/summary><div class="scroll"/g) ?? [];
  assert.equal(plots.length, 6);
  assert.equal(numbers.length, plots.length);
});

let directory = '';
let browser: Browser | undefined;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-report-'));
  if (noBrowser === false) browser = await Browser.start();
});
after(async () => {
  await browser?.close();
  await rm(directory, { recursive: true, force: true });
});

async function show(html: string, look = { width: 1_200, dark: false }): Promise<Browser> {
  const path = join(directory, 'report.html');
  await writeFile(path, html);
  browser!.complaints.length = 0;
  browser!.requests.length = 0;
  await browser!.open(path, look);
  return browser!;
}

/** Of each canvas: points that are not empty, and how many colours they have. */
const CANVASES = `[...document.querySelectorAll('canvas')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  let points = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 200) continue;
    points += 1;
    colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  }
  return { points, colours: colours.size };
})`;
const CELLS = `[...document.querySelectorAll('#survival-table tbody tr')].map((row) =>
  [...row.cells].map((cell) => cell.innerText.replace(/\\s+/g, ' ').trim()))`;

for (const look of [
  { width: 1_200, dark: false },
  { width: 1_200, dark: true },
  { width: 390, dark: false },
]) {
  const where = `${look.width} pixels wide, ${look.dark ? 'dark' : 'light'}`;
  test(`Chromium draws every plot and fills every cell, ${where}`, {
    skip: noBrowser,
  }, async () => {
    const page = await show(renderHtml(sample()), look);
    assert.deepEqual(page.complaints, []);
    assert.deepEqual(page.requests, []);
    const canvases = (await page.evaluate(CANVASES)) as { points: number; colours: number }[];
    assert.equal(canvases.length, 6);
    for (const { points, colours } of canvases) {
      assert.ok(points > 1_000, `${points} points`);
      assert.ok(colours > 3, `${colours} colours`);
    }
    assert.deepEqual(await page.evaluate(CELLS), [
      ['single-flip owner lives', '100 % 16 of 16', '0 % 0 of 16', '100 % 16 of 16'],
      ['per-packet owner lives', '100 % 16 of 16', '0 % 0 of 16 1 not run', '100 % 16 of 16'],
    ]);
    // Tables scroll by themselves; the page does not.
    assert.ok(Number(await page.evaluate('document.documentElement.scrollWidth')) <= look.width);
  });
}

test('Chromium runs nothing of what is in names and error texts', { skip: noBrowser }, async () => {
  for (const attack of ATTACKS) {
    const page = await show(renderHtml(hostile(`x${attack}`)));
    assert.deepEqual(page.complaints, [], attack);
    assert.deepEqual(page.requests, [], attack);
    assert.equal(await page.evaluate('String(window.broken)'), 'undefined', attack);
    const name = await page.evaluate(`document.querySelector('pre').textContent`);
    if (!/[\u0000-\u001f\ud800]/.test(attack)) assert.equal(name, `x${attack}`);
  }
});

test('a program that slipped into the page would not run', { skip: noBrowser }, async () => {
  const slipped = '<script>window.broken = 1</script><img src=x onerror="window.broken = 1">';
  const page = await show(renderHtml(sample()).replace('<main>', `<main>${slipped}`));
  assert.equal(await page.evaluate('String(window.broken)'), 'undefined');
  assert.ok(page.complaints.some((text) => text.includes('Content Security Policy')));
});
