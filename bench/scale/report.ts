/** The result of the scale simulation, as data and as tables. A core without IO. */
import { DIRECTORY_SETTINGS } from '../../src/sync/directory/settings.ts';
import type { BenchReport } from '../measure/bench-report.ts';
import {
  type Envelope,
  envelopeLines,
  type FactTable,
  factLines,
  type Layout,
} from '../measure/envelope.ts';
import { short } from '../measure/report.ts';
import type { Detour } from './detour.ts';
import { SKEW } from './fleet.ts';
import type { Departure } from './homes-load.ts';
import { LOCAL_MS } from './latency.ts';
import type { Awareness, Departing, MembershipTraffic } from './membership-world.ts';
import {
  HOMES_TABLE_BYTES,
  HOMES_TABLES,
  KERNEL_OWN_BYTES,
  KERNEL_OWN_DEFAULT,
  KERNEL_TICKET_BYTES,
  KERNEL_TICKETS_DEFAULT,
} from './memory.ts';
import type { PairTraffic } from './pair-world.ts';

export interface ScaleOptions {
  /** 10 to 500. */
  readonly nodes: number;
  /** Live at any time, of all nodes together. */
  readonly flows: number;
  /** Mean life of a flow, seconds. */
  readonly lifeS: number;
  /** Share of the mesh's datagrams lost. */
  readonly loss: number;
  /** Length of a packet's way over the line of sight, in fibre. */
  readonly fibreFactor: number;
  readonly seed: number;
}

export interface DepartureFigures {
  readonly departing: Departing;
  readonly nodes: number;
  readonly awareness: Awareness;
  readonly departure: Departure;
  readonly bytesPerTicketMoved: number;
  /** Of all owners together. */
  readonly bytesMoved: number;
  readonly largestOwnerTickets: number;
  /** From its first ticket until its last has arrived. */
  readonly largestOwnerMs: number;
  /** From the departure until every flow that has a home left can be healed by it from any entry. */
  readonly anyHomeMs: number;
  /** Until every ticket is at three homes again. */
  readonly allHomesMs: number;
}

export interface ScaleFigures {
  readonly pops: number;
  readonly meanDelayMs: number;
  /** Tickets per home. */
  readonly homes: { readonly mean: number; readonly min: number; readonly max: number };
  /** Flows per owner. */
  readonly owned: { readonly mean: number; readonly max: number };
  readonly birthsPerNodePerS: number;
  readonly membership: MembershipTraffic;
  readonly pairs: readonly PairTraffic[];
  readonly departures: readonly DepartureFigures[];
  readonly detours: readonly Detour[];
  /** Measured on the real store. */
  readonly ticketBytes: number;
}

export interface ScaleReport extends Envelope {
  readonly bench: 'scale';
  readonly options: ScaleOptions;
  readonly figures: ScaleFigures;
}

/** IPv4 and UDP headers of one datagram. */
const HEADER_BYTES = 28;

const ms = (value: number): string =>
  Number.isFinite(value) ? `${short(value)} ms` : 'not within the run';
const seconds = (value: number): string =>
  Number.isFinite(value) ? `${(value / 1_000).toFixed(2)} s` : 'not within the run';
const percent = (share: number): string => `${(share * 100).toPrecision(3)} %`;

function bytes(value: number): string {
  if (value < 1_000) return `${short(value)} B`;
  if (value < 1e6) return `${short(value / 1e3)} kB`;
  return value < 1e9 ? `${short(value / 1e6)} MB` : `${short(value / 1e9)} GB`;
}

/** Every figure, in the order in which it is read. */
export function scaleTables({ options, figures }: ScaleReport): FactTable[] {
  return [
    ticketTable(options, figures),
    trafficTable(options, figures),
    departureTable(figures),
    detourTable(figures),
    memoryTable(options, figures),
  ];
}

function ticketTable(options: ScaleOptions, { homes, owned }: ScaleFigures): FactTable {
  const row = (name: string, mean: number, max: number) => [
    name,
    short(mean),
    short(max),
    (max / mean).toFixed(3),
  ];
  return {
    name: 'tickets',
    about: `${short(options.flows)} flows, ${options.nodes} nodes, three homes each`,
    head: ['', 'mean', 'most', 'most / mean'],
    rows: [
      row('kept by a home', homes.mean, homes.max),
      row('owned by a node', owned.mean, owned.max),
    ],
  };
}

function trafficTable(options: ScaleOptions, figures: ScaleFigures): FactTable {
  const { membership, pairs } = figures;
  const peers = options.nodes - 1;
  const row = (name: string, births: number | undefined, bytesPerS: number, perS: number) => [
    name,
    births === undefined ? '–' : short(births),
    bytes(bytesPerS),
    bytes(bytesPerS + perS * HEADER_BYTES),
    short(perS),
  ];
  return {
    name: 'mesh traffic',
    about: 'sent by one node, per second; as much arrives',
    head: ['', 'new flows', 'bytes', 'with IPv4 and UDP', 'datagrams'],
    rows: [
      row('membership', undefined, membership.bytesPerNodePerS, membership.datagramsPerNodePerS),
      ...pairs.map((pair) =>
        row(
          `and tickets, flows of ${short(pair.lifeS)} s`,
          options.flows / options.nodes / pair.lifeS,
          membership.bytesPerNodePerS + peers * pair.bytesPerS,
          membership.datagramsPerNodePerS + peers * pair.datagramsPerS,
        ),
      ),
    ],
  };
}

function departureTable({ departures }: ScaleFigures): FactTable {
  const column = (of: (one: DepartureFigures) => string) => departures.map(of);
  return {
    name: 'nodes go',
    about: 'from the moment of their departure; flows that they own themselves are not counted',
    head: [
      '',
      ...departures.map(
        ({ departing, nodes }) =>
          `${nodes} ${departing === 'leave' ? (nodes === 1 ? 'leaves' : 'leave') : nodes === 1 ? 'crashes' : 'crash'}`,
      ),
    ],
    rows: [
      ['their own flows', ...column(({ departure }) => short(departure.lostFlows))],
      ['flows whose first home is gone', ...column(({ departure }) => short(departure.firstGone))],
      ['flows without any home', ...column(({ departure }) => short(departure.homeless))],
      [
        'half of the nodes ask another home',
        ...column(({ awareness }) => seconds(awareness.skipP50Ms)),
      ],
      ['every node does', ...column(({ anyHomeMs }) => seconds(anyHomeMs))],
      ['every node has the new table', ...column(({ awareness }) => seconds(awareness.tableMaxMs))],
      ['tickets published again', ...column(({ departure }) => short(departure.moved))],
      ['bytes for them, all nodes', ...column(({ bytesMoved }) => bytes(bytesMoved))],
      ['bytes per ticket', ...column((one) => short(one.bytesPerTicketMoved))],
      ['largest owner: tickets', ...column((one) => short(one.largestOwnerTickets))],
      ['largest owner: until the last arrived', ...column((one) => ms(one.largestOwnerMs))],
      ['every ticket at three homes again', ...column((one) => seconds(one.allHomesMs))],
    ],
  };
}

function detourTable({ detours }: ScaleFigures): FactTable {
  const titles = { nearest: 'route to the nearest other PoP', anywhere: 'route to any PoP' };
  return {
    name: 'detours',
    about: 'one way, between the PoP where a packet arrives and the one that owns the flow',
    head: ['', 'p50', 'p90', 'p99', 'mean'],
    rows: detours.flatMap(({ entry, knownMs, firstMs, learnMs }) =>
      [
        [`${titles[entry]}: entry to owner`, knownMs] as const,
        ['  first packets, by way of the home', firstMs] as const,
        ['  until the entry knows the owner', learnMs] as const,
      ].map(([name, q]) => [name, ms(q.p50), ms(q.p90), ms(q.p99), ms(q.mean)]),
    ),
  };
}

function memoryTable(options: ScaleOptions, figures: ScaleFigures): FactTable {
  const { homes, owned, ticketBytes } = figures;
  // A home's own flows are in its store once, whether it is one of their homes or not.
  const keptOfOthers = (kept: number, own: number) => kept - (own * 3) / options.nodes;
  const row = (name: string, kept: number, own: number) => {
    const others = keptOfOthers(kept, own);
    const agent = (others + own) * ticketBytes;
    const kernel = others * KERNEL_TICKET_BYTES + own * KERNEL_OWN_BYTES;
    const tables = HOMES_TABLES * HOMES_TABLE_BYTES;
    return [name, short(others + own), bytes(agent), bytes(kernel), bytes(agent + kernel + tables)];
  };
  return {
    name: 'memory per node',
    about: `${ticketBytes.toFixed(1)} B per ticket in the agent (measured), ${KERNEL_TICKET_BYTES} in the kernel, ${KERNEL_OWN_BYTES} per own flow`,
    head: ['', 'tickets', 'agent', 'kernel', 'with tables of homes'],
    rows: [row('mean', homes.mean, owned.mean), row('most', homes.max, owned.max)],
  };
}

/** What the figures rest on, and where they would not hold. */
export function assumptions({ options, figures }: ScaleReport): string[] {
  const { nodes, flows, lifeS, loss, fibreFactor, seed } = options;
  const { pops, meanDelayMs, homes, owned, departures } = figures;
  const lines = [
    `${pops} PoPs in real cities; their shares of flows fall with rank ** -${SKEW}, nodes are given to PoPs by share, one at least. Seed ${seed}.`,
    `Delays: great-circle distance × ${fibreFactor} at 200 km/ms (2.1: rule of thumb in Bozkurt et al., arXiv:1811.10737) + ${LOCAL_MS} ms; mean between two nodes ${meanDelayMs.toFixed(1)} ms one way.`,
    'Flows per bucket are Poisson distributed; homes are the real table of 65,536 buckets with three homes each.',
    `Flows live ${lifeS} s on average; births and ends are Poisson, ${short(flows / lifeS)} of each per second in all. All flows are IPv4; IPv6 records are 42 instead of 18 bytes.`,
    `Membership is the real code, ${nodes} simulated nodes with the true key exchange, ${percent(loss)} of datagrams lost, on a line of places with the same mean delay.`,
    'Tickets: the real directory in a mesh of four, with the tickets, births and ends per pair of nodes of the big mesh; multiplied by the number of peers.',
    'Publishing again: the real directory of the largest owner against the real receiving ends at all homes; the other owners need no longer. Time on processors is not part of it.',
    `Tables are followed one after the other: owners publish ${short(DIRECTORY_SETTINGS.republishPerSecond)} tickets a second. Building a table takes milliseconds (docs/design/homes.md) and is left out.`,
    'Nodes that crash or leave in the membership simulation are 10 % of those still there; tickets are counted for 10 % of all.',
    `A flow without any home is found by search from the moment when its entry knows: all nodes are asked, so one entry searches for ${short(DIRECTORY_SETTINGS.searchPerSecond / nodes)} flows a second.`,
    'Detours: the client is where its flow’s owner is; the first packets go by way of the first home, wherever it is.',
    'Memory: without sessions and streams, which are per node, not per ticket.',
  ];
  const most = homes.max + owned.max;
  if (most > DIRECTORY_SETTINGS.capacity) {
    lines.push(
      `The fullest node has ${short(most)} tickets, more than the default capacity of ${short(DIRECTORY_SETTINGS.capacity)}: the rest would only be found by search.`,
    );
  }
  if (homes.max > KERNEL_TICKETS_DEFAULT || owned.max > KERNEL_OWN_DEFAULT) {
    lines.push(
      `A datapath takes ${short(KERNEL_TICKETS_DEFAULT)} tickets and ${short(KERNEL_OWN_DEFAULT)} own flows by default: raise datapath.ticketsMax and datapath.ownFlowsMax, as here.`,
    );
  }
  if (departures.some(({ allHomesMs }) => !Number.isFinite(allHomesMs))) {
    lines.push('Where nothing is given, the simulated mesh had not settled within 90 s.');
  }
  return lines;
}

/** In the form of the other benchmarks: all of it is facts, as a simulated clock has no base. */
export function scaleForm(report: ScaleReport): BenchReport {
  const method = [...report.method, ...assumptions(report)];
  return { ...report, method, scenarios: [], facts: scaleTables(report) };
}

export function scaleText(report: ScaleReport, layout: Layout): string {
  const lines = envelopeLines(report);
  for (const table of scaleTables(report)) lines.push('', ...factLines(table, layout));
  lines.push('', 'Assumptions');
  for (const line of assumptions(report)) lines.push(`  ${line}`);
  return `${lines.join('\n')}\n`;
}
