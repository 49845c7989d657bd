import { decodeKeyReport, encodeKeyReport, type KeyReport } from '../proto/key-report.ts';
import { readU32, writeU32 } from '../proto/ticket-bytes.ts';
import type {
  Channel,
  MeshComponent,
  MeshEvent,
  MeshNotice,
  Outbox,
  PeerIndex,
  PeerTable,
} from './core.ts';

export const CHANNEL_KEY_ASK = 34;
export const CHANNEL_KEY_REPORT = 35;

/** A node's answer to {@link KeyCensus.ask}. */
export interface KeyReportNotice extends MeshNotice {
  readonly type: 'keyReport';
  readonly peer: PeerIndex;
  readonly report: KeyReport;
}

/** Asks all nodes which cluster keys they have, before one is retired that somebody still needs. */
export class KeyCensus implements MeshComponent {
  readonly channels: readonly Channel[] = [CHANNEL_KEY_ASK, CHANNEL_KEY_REPORT];
  readonly counters = { keyReportsMalformed: 0 };
  readonly #peers: PeerTable;
  readonly #own: () => Omit<KeyReport, 'ask'>;
  #lastAsk = 0;

  /** @param own What this node answers. */
  constructor(peers: PeerTable, own: () => Omit<KeyReport, 'ask'>) {
    this.#peers = peers;
    this.#own = own;
  }

  /**
   * Asks every live node but this one; each that answers gives a {@link KeyReportNotice}.
   * @returns the number of the question, and how many were asked.
   */
  ask(out: Outbox): { ask: number; asked: number } {
    this.#lastAsk = (this.#lastAsk + 1) >>> 0;
    const body = new Uint8Array(4);
    writeU32(body, 0, this.#lastAsk);
    let asked = 0;
    for (const peer of this.#peers.indices()) {
      if (out.send(peer, CHANNEL_KEY_ASK, body)) asked += 1;
    }
    return { ask: this.#lastAsk, asked };
  }

  handle(_nowMs: number, event: MeshEvent, out: Outbox): void {
    if (event.type !== 'frame') return;
    const { from, channel, body } = event;
    if (channel === CHANNEL_KEY_ASK) {
      if (body.length < 4) this.counters.keyReportsMalformed += 1;
      else {
        const report = { ask: readU32(body, 0), ...this.#own() };
        out.send(from, CHANNEL_KEY_REPORT, encodeKeyReport(report));
      }
      return;
    }
    const report = decodeKeyReport(body);
    if (report === undefined) this.counters.keyReportsMalformed += 1;
    else {
      const notice: KeyReportNotice = { type: 'keyReport', peer: from, report };
      out.notify(notice);
    }
  }

  nextWakeupMs(): undefined {
    return undefined;
  }
}
