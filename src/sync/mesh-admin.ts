import { clusterKeyText, keyIdText, parseClusterKey, parseKeyId } from './cluster-key.ts';
import type { Outbox, PeerIndex } from './core.ts';
import type { KeyStore } from './key-store.ts';
import type { MeshCore } from './mesh-core.ts';
import { type NodesReport, nodesReport } from './nodes-report.ts';

/** What `holdfast keys list --json` prints. Never a secret. */
export interface KeysReport {
  readonly keys: readonly { readonly id: string; readonly used: boolean }[];
  /** Number of the TLS ticket key in use; 0 before the first. */
  readonly ticketKeyEpoch: number;
}

/** How a change of the keys ended. `done` and `already` are good. */
export interface KeyChange {
  readonly result: 'done' | 'already' | 'unknownKey' | 'inUse' | 'full' | 'retired' | 'malformed';
  /** Of the key meant; empty when it could not be read. */
  readonly id: string;
}

/** The part of a mesh that its operators see: the shell is one. */
export interface AdministeredMesh {
  readonly core: MeshCore;
  readonly keys: KeyStore;
  act<T>(call: (nowMs: number, out: Outbox) => T): T;
}

/** Plain JSON in and out, for an admin server. */
export class MeshAdmin {
  readonly #mesh: AdministeredMesh;
  readonly #ticketsOf: ((peer: PeerIndex) => number | null) | undefined;

  constructor(mesh: AdministeredMesh, ticketsOf?: (peer: PeerIndex) => number | null) {
    this.#mesh = mesh;
    this.#ticketsOf = ticketsOf;
  }

  nodes(): NodesReport {
    return nodesReport(this.#mesh.core, this.#ticketsOf);
  }

  keys(): KeysReport {
    const { keyring } = this.#mesh.core;
    const keys = keyring
      .keys()
      .map(({ id }) => ({ id: keyIdText(id), used: id === keyring.used.id }));
    return { keys, ticketKeyEpoch: this.#mesh.keys.counters.ticketKeyEpoch };
  }

  /** @param text As `holdfast keys generate` prints it. */
  addKey(text: string): KeyChange {
    let secret: Uint8Array;
    try {
      secret = parseClusterKey(text);
    } catch {
      return { result: 'malformed', id: '' };
    }
    const { core, keys } = this.#mesh;
    const result = this.#mesh.act((nowMs, out) => keys.add(nowMs, secret, out));
    const added = core.keyring.keys().find((key) => sameBytes(key.secret, secret));
    return { result, id: added === undefined ? '' : keyIdText(added.id) };
  }

  useKey(idText: string): KeyChange {
    return this.#change(idText, (nowMs, id, out) => this.#mesh.keys.use(nowMs, id, out));
  }

  retireKey(idText: string): KeyChange {
    return this.#change(idText, (nowMs, id, out) => this.#mesh.keys.retire(nowMs, id, out));
  }

  /** Secrets, the used one first: what the next start of this node needs. Keep them safe. */
  clusterKeys(): string[] {
    const { keyring } = this.#mesh.core;
    const others = keyring.keys().filter((key) => key !== keyring.used);
    return [keyring.used, ...others].map((key) => clusterKeyText(key.secret));
  }

  /** Every counter of the mesh by name, for metrics. */
  counters(): Record<string, number> {
    const { core } = this.#mesh;
    const all: Record<string, number> = {
      ...core.links.counters,
      ...core.membership.counters,
      ...core.counters,
      gossipDropped: core.membership.gossip.dropped,
      gossipQueued: core.membership.gossip.size,
      sessionsOpen: core.links.sessions,
      awareness: core.membership.awareness.score,
    };
    for (const component of core.components) Object.assign(all, component.counters);
    return all;
  }

  #change(
    idText: string,
    call: (nowMs: number, id: number, out: Outbox) => KeyChange['result'],
  ): KeyChange {
    const id = parseKeyId(idText);
    if (id === undefined) return { result: 'malformed', id: '' };
    const result = this.#mesh.act((nowMs, out) => call(nowMs, id, out));
    return { result, id: keyIdText(id) };
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
