/** Reads, about once a second, how often each PoP has told the router something new. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BirdClient } from '../../../src/announce/bird-client.ts';
import { parseChannelCounters } from '../bird/channel-counters.ts';
import { exabgpSessionName, sessionName } from '../bird/config.ts';
import type { Lab } from '../lab.ts';
import {
  type AnnouncementCount,
  type AnnouncementReading,
  countAnnouncements,
} from '../measure/announcements.ts';

const READ_MS = 1_000;
/** Of the longest run, an hour. */
const READINGS_MAX = 5_000;

export class AnnouncementLog {
  readonly #lab: Lab;
  readonly #readings = new Map<string, AnnouncementReading[]>();
  readonly #stop = new AbortController();
  #reading: Promise<void> = Promise.resolve();

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  begin(): void {
    this.#reading = this.#read();
  }

  /** Reads a last time. In the order of the PoPs, sessions of the clients' family. */
  async end(): Promise<AnnouncementCount[]> {
    this.#stop.abort();
    await this.#reading;
    return this.#lab.topology.pops.map(({ name }) =>
      countAnnouncements(name, this.#readings.get(name) ?? []),
    );
  }

  async #read(): Promise<void> {
    const { family, announcing } = this.#lab.options;
    const nameOf = announcing === 'exabgp' ? exabgpSessionName : sessionName;
    const { client } = await BirdClient.open(this.#lab.birdSocket('router'));
    try {
      for (;;) {
        const isLast = this.#stop.signal.aborted;
        for (const pop of this.#lab.topology.pops) {
          const lines = await client.ask(`show protocols all ${nameOf(pop, family)}`, true);
          const known = this.#readings.get(pop.name) ?? [];
          this.#readings.set(pop.name, known);
          const reading = { atMs: performance.now(), ...parseChannelCounters(lines) };
          if (known.length < READINGS_MAX) known.push(reading);
        }
        if (isLast) return;
        await sleep(READ_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    } finally {
      client.close();
    }
  }
}
