/** The live view of a run as lines of text. Pure: the terminal is elsewhere. */
import { SESSION_KINDS } from '../clients/event.ts';
import { countSessions } from '../measure/result.ts';
import type { RunView } from '../observer.ts';
import { KIND_TITLES } from './table.ts';
import { bar, cut, fit, right, seconds } from './text.ts';

export interface FrameContent {
  /** What is run: `single-flip · healing off · server nginx · IPv4`. */
  readonly title: string;
  /** Since the whole command began. */
  readonly sinceMs: number;
  /** The newest step of setting up; shown while there are no clients. */
  readonly step: string;
  /** Lines about earlier runs. */
  readonly notes: readonly string[];
  readonly view: RunView | undefined;
  /** Newest last. */
  readonly events: readonly { readonly atMs: number; readonly text: string }[];
}

const BAR_WIDTH = 16;
const LABEL_WIDTH = 20;

/** Lines no longer than `columns`; `rows` limits their number by showing fewer events. */
export function frame(content: FrameContent, columns: number, rows: number): string[] {
  const { view } = content;
  const clock = `${seconds(content.sinceMs)} s`;
  const titleWidth = Math.max(0, columns - clock.length - 1);
  const lines = [`${fit(content.title, titleWidth)} ${clock}`, ''];
  if (content.notes.length > 0) lines.push(...content.notes.map((note) => `  ${note}`), '');
  if (view === undefined) {
    lines.push(`  ${content.step}`);
  } else {
    lines.push(...routeLines(view), '', ...sessionLines(view), '');
  }
  const room = Math.max(1, Math.min(8, rows - lines.length - 1));
  for (const { atMs, text } of content.events.slice(-room)) {
    lines.push(`  ${right(seconds(atMs, 3), 7)} s  ${text}`);
  }
  return lines.map((line) => cut(line, columns));
}

/** `clients ══ router ══▶ PoP  A  [B]  C` */
function routeLines(view: RunView): string[] {
  const pops = view.pops.map(({ label, name }) =>
    name === view.routeTo?.name ? `[${label}]` : ` ${label} `,
  );
  const share = view.durationMs === 0 ? 1 : view.elapsedMs / view.durationMs;
  const time = `${seconds(Math.max(0, view.elapsedMs))} of ${seconds(view.durationMs)} s`;
  return [`  clients ══ router ══▶ PoP ${pops.join(' ')}      ${bar(share, BAR_WIDTH)} ${time}`];
}

function sessionLines(view: RunView): string[] {
  const titles = ['running', 'done', 'reset', 'stalled', 'corrupt'].map((t) => right(t, 9));
  const lines = [`  ${fit('', LABEL_WIDTH)}${titles.join('')}`];
  for (const kind of SESSION_KINDS) {
    const sessions = view.sessions.filter((session) => session.kind === kind);
    if (sessions.length === 0) continue;
    const running = sessions.filter((session) => session.end === undefined).length;
    const counts = countSessions(sessions.filter((session) => session.end !== undefined));
    const cells = [running, counts.survived, counts.reset, counts.stalled, counts.corrupt];
    const done = sessions.reduce((sum, s) => sum + (s.total === 0 ? 0 : s.done / s.total), 0);
    const share = done / sessions.length;
    lines.push(
      `  ${fit(KIND_TITLES[kind], LABEL_WIDTH)}${cells.map((c) => right(c === 0 ? '·' : String(c), 9)).join('')}  ${right(String(Math.round(share * 100)), 3)} %`,
    );
  }
  return lines;
}
