/** The flows of this node's kernel, published as a whole: at the start, and after lost events. */
import type { Datapath } from '../datapath/datapath.ts';
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import type { Directory } from '../sync/directory/directory.ts';
import type { Mesh } from '../sync/mesh.ts';
import { NONE } from '../sync/ticket-columns.ts';

/** Flows handled before other work gets its turn. */
const SLICE = 4_096;

export class OwnTickets {
  readonly #datapath: Datapath;
  readonly #mesh: Mesh;
  readonly #directory: Directory;
  #done = false;

  constructor(datapath: Datapath, mesh: Mesh, directory: Directory) {
    this.#datapath = datapath;
    this.#mesh = mesh;
    this.#directory = directory;
  }

  /** Every flow was published once. */
  get done(): boolean {
    return this.#done;
  }

  /** Resolves to the number of flows. */
  async publishAll(): Promise<number> {
    let count = 0;
    const flows = this.#datapath.own[Symbol.iterator]();
    for (let more = true; more; await turn()) {
      more = this.#mesh.act((nowMs, out) => {
        for (let i = 0; i < SLICE; i++) {
          const { value: flow, done } = flows.next();
          if (done === true || flow === undefined) return false;
          count++;
          this.#directory.publish(nowMs, flow.bucket, flow.key, flow.generation, out);
        }
        return true;
      });
    }
    this.#done = true;
    return count;
  }

  /** Ends the tickets of flows that the kernel holds no more. */
  async endStale(): Promise<void> {
    const { tickets, homes } = this.#directory;
    const { own } = tickets;
    for (let bucket = 0; bucket < homes.buckets; ) {
      // Between slices the lists may change, so each is walked within one.
      bucket = this.#mesh.act((nowMs, out) => {
        let looked = 0;
        let at = bucket;
        for (; at < homes.buckets && looked < SLICE; at++) {
          for (const { key, generation } of this.#chain(at)) {
            looked++;
            if (this.#datapath.tracer.holds(key) === undefined) {
              this.#directory.end(nowMs, at, key, generation, out);
            }
          }
        }
        return at;
      });
      await turn();
      if (own.count === 0) return;
    }
  }

  /** A copy: ending a ticket takes it out of its list. */
  #chain(bucket: number): { key: FlowKey; generation: number }[] {
    const { tickets } = this.#directory;
    const list: { key: FlowKey; generation: number }[] = [];
    const { own } = tickets;
    for (
      let ticket = tickets.firstInChain(own, own.chainOf(bucket));
      ticket !== NONE;
      ticket = tickets.nextInChain(ticket)
    ) {
      const key = new Uint32Array(KEY_WORDS);
      tickets.readKey(ticket, key);
      list.push({ key, generation: tickets.generationOf(ticket) });
    }
    return list;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
