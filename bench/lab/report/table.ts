/** Results as tables for people. Pure. */
import { SESSION_KINDS, type SessionKind } from '../clients/event.ts';
import type { Distribution } from '../measure/gaps.ts';
import type { LabResult, SessionCounts } from '../measure/result.ts';
import { fit, milliseconds, right, seconds, wrap } from './text.ts';

/** What people call the kinds of sessions. */
export const KIND_TITLES: Readonly<Record<SessionKind, string>> = {
  download: 'downloads (curl)',
  upload: 'uploads (curl)',
  websocket: 'WebSocket echoes',
  sse: 'event streams (SSE)',
  idle: 'silent WebSockets',
  keepalive: 'kept-alive questions',
  connect: 'new connections',
  visit: 'connections of 3 s',
  reuse: 'reused source ports',
  reconnect: 'reconnecting clients',
  psql: 'psql sessions',
  ssh: 'ssh terminals',
};

const LABEL_WIDTH = 24;
const COUNT_WIDTH = 10;
/** What is left of 80 columns beside a label. */
const TEXT_WIDTH = 80 - LABEL_WIDTH - 4;

const gaps = ({ p50, p99, max }: Distribution): string =>
  `p50 ${milliseconds(p50)}  p99 ${milliseconds(p99)}  max ${milliseconds(max)}`;

function flipGaps(result: LabResult): string {
  const felt = survivorsGap(result);
  return felt === undefined ? 'no echo stream came through' : gaps(felt);
}

const listed = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** One result in full; fits 80 columns. */
export function resultTable(result: LabResult): string[] {
  const row = (label: string, counts: SessionCounts) =>
    `  ${fit(label, LABEL_WIDTH)}${[
      counts.started,
      counts.survived,
      counts.reset,
      counts.stalled,
      counts.corrupt,
    ]
      .map((count) => right(String(count), COUNT_WIDTH))
      .join('')}`;
  const line = (label: string, text: string) => `  ${fit(label, LABEL_WIDTH)}  ${text}`;
  const lines = (label: string, text: string) =>
    wrap(text, TEXT_WIDTH).map((part, index) => line(index === 0 ? label : '', part));
  const { flipEvents, kinds } = result;
  return [
    `${result.scenario} · server ${result.server} · healing ${result.healing} · IPv${result.family} · ${result.pops} PoPs · seed ${result.seed}`,
    '',
    `  ${fit('', LABEL_WIDTH)}${['started', 'survived', 'reset', 'stalled', 'corrupt']
      .map((title) => right(title, COUNT_WIDTH))
      .join('')}`,
    ...SESSION_KINDS.flatMap((kind) => {
      const counts = kinds[kind];
      return counts === undefined ? [] : [row(KIND_TITLES[kind], counts)];
    }),
    row('all sessions', result.sessions),
    '',
    ...(flipEvents.length === 0
      ? [line('route', 'did not move')]
      : [line('route moved', routeMoves(result))]),
    ...result.steps.map(({ atMs, text }) => line(`at ${seconds(atMs)} s`, text)),
    ...(flipEvents.length === 0 ? [] : [line('echo gap at flip, ms', flipGaps(result))]),
    ...(flipEvents.length === 0 && result.gapMs.max !== null
      ? [line('echo gap disturbed, ms', flipGaps(result))]
      : []),
    ...(result.baselineGapMs.max === null
      ? []
      : [line('echo gap in quiet, ms', gaps(result.baselineGapMs))]),
    ...(result.controlGapMs === null
      ? []
      : [line('echo gap, control, ms', gaps(result.controlGapMs))]),
    ...(result.connectMs.max === null ? [] : [line('time to connect, ms', gaps(result.connectMs))]),
    ...(result.connections.tried === 0
      ? []
      : [line('connections', `${result.connections.tried}, ${result.connections.failed} failed`)]),
    ...(result.reconnects.served === 0
      ? []
      : [
          line(
            'reconnected',
            `${result.reconnects.served}, ${result.reconnects.resumed} resumed TLS`,
          ),
        ]),
    ...result.announcements.map(({ pop, updates, withdrawals, mostPerMinute }) =>
      line(
        `${pop} announced`,
        `${updates} times, withdrew ${withdrawals}; most a minute ${mostPerMinute}`,
      ),
    ),
    line('TCP retransmits', listed(result.retransmitsByNode)),
    ...(result.retransmitsCaused === null
      ? []
      : [line('  more than in control', String(result.retransmitsCaused))]),
    line('RSTs sent by PoPs', listed(result.resetsSent)),
    line('relayed packets', relayed(result)),
    ...(result.relayedPackets === 0 ? [] : lines('verdicts', listed(result.verdicts))),
    ...result.deaths.flatMap((death) => [
      line(
        `${death.pop} dead, reset after`,
        `${gaps(death.resetAfterMs)} ms (${death.resetSessions} sessions)`,
      ),
      line('  new one served after', `${milliseconds(death.servedAfterMs)} ms`),
      ...(death.reconnected === 0
        ? []
        : [
            line(
              '  reconnected after',
              `${gaps(death.reconnectedAfterMs)} ms (${death.reconnected}, ${death.resumed} resumed)`,
            ),
          ]),
    ]),
    ...floodLines(result).map(([label, text]) => line(label, text)),
    ...Object.values(result.examples).map((text) => line('for example', text)),
  ];
}

const relayed = ({ relayedPackets, relayedByNode }: LabResult): string =>
  relayedPackets === 0 ? '0' : `${relayedPackets} (${listed(relayedByNode)})`;

function floodLines({ flood }: LabResult): [string, string][] {
  if (flood === null) return [];
  const { segment, sent, packetsPerS, failed, counted, relayedPerPacket } = flood;
  const lost = failed === 0 ? '' : `, ${failed} not sent`;
  return [
    ['flood', `${sent} ${segment.toUpperCase()} at ${packetsPerS}/s${lost}`],
    ['  relayed for it', `${counted.relayed} for ${counted.sent} (${relayedPerPacket} each)`],
  ];
}

function routeMoves({ flipEvents, flipMethod }: LabResult): string {
  const slowest = Math.max(...flipEvents.map((flip) => flip.convergenceMs));
  const [first] = flipEvents;
  const took = `${milliseconds(slowest)} ms (${flipMethod})`;
  return flipEvents.length === 1
    ? `${first?.from} → ${first?.to} in ${took}`
    : `${flipEvents.length} times, slowest ${took}`;
}

/** A result with the heading under which it stands. */
export interface Column {
  /** Two short lines. */
  readonly title: readonly [string, string];
  readonly result: LabResult;
}

/** Results side by side; three columns fit 80 characters. */
export function comparisonTable(columns: readonly Column[]): string[] {
  const width = Math.min(20, Math.max(14, Math.floor((78 - LABEL_WIDTH) / columns.length)));
  const row = (label: string, cell: (result: LabResult) => string) =>
    `  ${fit(label, LABEL_WIDTH)}${columns.map((c) => right(cell(c.result), width)).join('')}`;
  const head = (line: 0 | 1) =>
    `  ${fit('', LABEL_WIDTH)}${columns.map((c) => right(c.title[line], width)).join('')}`;
  const share = ({ survived, started }: SessionCounts) => `${survived} of ${started}`;
  const kinds = SESSION_KINDS.filter((kind) => columns.some((c) => c.result.kinds[kind]));
  const heading = [head(0), head(1)];
  const ruler = `  ${'─'.repeat(LABEL_WIDTH + width * columns.length)}`;
  return [
    ...heading,
    ruler,
    ...kinds.map((kind) =>
      row(KIND_TITLES[kind], ({ kinds: all }) => {
        const counts = all[kind];
        return counts === undefined ? '–' : share(counts);
      }),
    ),
    row('all that survived', (r) => share(r.sessions)),
    ruler,
    row('reset', (r) => String(r.sessions.reset)),
    row('stalled', (r) => String(r.sessions.stalled)),
    row('corrupt', (r) => String(r.sessions.corrupt)),
    row('route moved in, ms', (r) => milliseconds(r.flipEvents[0]?.convergenceMs ?? null)),
    row('echo gap quiet, p99 ms', (r) => milliseconds(r.baselineGapMs.p99)),
    row('echo gap flip, p99 ms', (r) => milliseconds(survivorsGap(r)?.p99 ?? null)),
    row('echo gap flip, max ms', (r) => milliseconds(survivorsGap(r)?.max ?? null)),
    row('TCP retransmits', (r) => String(r.retransmits)),
    row('relayed packets', (r) => String(r.relayedPackets)),
  ];
}

/** A gap says something only about streams that came through. */
function survivorsGap(result: LabResult): Distribution | undefined {
  const { websocket, psql, ssh } = result.kinds;
  return [websocket, psql, ssh].some((kind) => (kind?.survived ?? 0) > 0)
    ? result.gapMs
    : undefined;
}
