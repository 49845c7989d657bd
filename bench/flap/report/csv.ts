/** Every run as a line of CSV (RFC 4180, with a head), for spreadsheets and scripts. Pure. */
import type { FlapCell, FlapFailure, FlapResult } from '../result.ts';

type Cell = string | number | boolean | null;

const mean = (values: readonly number[]): number | null =>
  values.length === 0
    ? null
    : Math.round((values.reduce((sum, value) => sum + value, 0) / values.length) * 100) / 100;

/** Names of the columns and what is in them. */
const COLUMNS: readonly (readonly [string, (cell: FlapCell) => Cell])[] = [
  ['scenario', (cell) => cell.scenario],
  ['contender', (cell) => cell.contender],
  ['server', (cell) => cell.server],
  ['agent', (cell) => cell.agent],
  ['family', (cell) => cell.family],
  ['repetition', (cell) => cell.repetition],
  ['seed', (cell) => cell.seed],
  ['sessions_started', (cell) => cell.sessions.started],
  ['sessions_survived', (cell) => cell.sessions.survived],
  ['sessions_reset', (cell) => cell.sessions.reset],
  ['sessions_stalled', (cell) => cell.sessions.stalled],
  ['sessions_corrupt', (cell) => cell.sessions.corrupt],
  ['connect_clients_started', (cell) => cell.kinds.connect?.started ?? 0],
  ['connect_clients_survived', (cell) => cell.kinds.connect?.survived ?? 0],
  ['flips', (cell) => cell.flips.length],
  ['gaps', (cell) => cell.gapMs.count],
  ['gap_p50_ms', (cell) => cell.gapMs.p50],
  ['gap_p90_ms', (cell) => cell.gapMs.p90],
  ['gap_p99_ms', (cell) => cell.gapMs.p99],
  ['gap_max_ms', (cell) => cell.gapMs.max],
  ['baseline_gap_p50_ms', (cell) => cell.baselineGapMs.p50],
  ['baseline_gap_p99_ms', (cell) => cell.baselineGapMs.p99],
  ['baseline_gap_max_ms', (cell) => cell.baselineGapMs.max],
  ['connect_p50_ms', (cell) => cell.connectMs.p50],
  ['connect_p99_ms', (cell) => cell.connectMs.p99],
  ['connect_max_ms', (cell) => cell.connectMs.max],
  ['bytes_per_s', (cell) => mean(cell.throughput.bytesPerS)],
  ['messages_per_s', (cell) => mean(cell.throughput.messagesPerS)],
  ['retransmits', (cell) => cell.retransmits],
  ['resets_sent', (cell) => cell.resetsSent],
  ['relayed_packets', (cell) => cell.relayedPackets],
  ['added_rtt_ms', (cell) => cell.detour?.addedRttMs ?? null],
  ['programs_cpu_ms', (cell) => cell.detour?.programsCpuMs ?? null],
  ['agents_cpu_ms', (cell) => cell.detour?.agentsCpuMs ?? null],
  ['complaints', (cell) => cell.complaints.join('; ')],
  ['failure', () => null],
];

/** One line per run, those that failed last; empty fields were not measured. Ends with a newline. */
export function renderCsv({ cells, failures }: FlapResult): string {
  const lines = [
    COLUMNS.map(([name]) => name),
    ...cells.map((cell) => COLUMNS.map(([, of]) => of(cell))),
    ...failures.map(failureLine),
  ];
  return lines.map((line) => `${line.map(field).join(',')}\r\n`).join('');
}

function failureLine(failure: FlapFailure): Cell[] {
  const { scenario, contender, server, agent, family, repetition, message } = failure;
  const known: Record<string, Cell> = { scenario, contender, server, agent, family, repetition };
  return COLUMNS.map(([name]) => (name === 'failure' ? message : (known[name] ?? null)));
}

/** Text from outside that a spreadsheet would take for a formula gets an apostrophe in front. */
function field(value: Cell): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
