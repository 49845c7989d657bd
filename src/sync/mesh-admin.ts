import type { KeyReport, KeyStorage } from '../proto/key-report.ts';
import { clusterKeyText, keyIdText, parseClusterKey, parseKeyId } from './cluster-key.ts';
import type { Outbox, PeerIndex } from './core.ts';
import type { KeyStore } from './key-store.ts';
import type { KeyringAnswer } from './keyring.ts';
import type { MeshCore } from './mesh-core.ts';
import { type NodesReport, nodesReport } from './nodes-report.ts';

/** What one node knows of the keys. Never a secret. */
export interface KeysReport {
  readonly keys: readonly { readonly id: string; readonly used: boolean }[];
  /** Number of the TLS ticket key in use; 0 before the first. */
  readonly ticketKeyEpoch: number;
  /** Where this node's next process finds the keys; file and error are null when there is none. */
  readonly storage: {
    readonly state: KeyStorage;
    readonly file: string | null;
    readonly error: string | null;
  };
}

/** The keys of one node, as it says. */
export interface NodeKeys {
  readonly id: string;
  readonly keys: readonly string[];
  readonly used: string;
  readonly ticketKeyEpoch: number;
  readonly storage: KeyStorage;
}

/** What `holdfast keys list --json` prints. */
export interface MeshKeysReport extends KeysReport {
  /** Sorted by id; the asked node is among them. */
  readonly nodes: readonly NodeKeys[];
  /** Nodes that did not answer. */
  readonly silent: readonly string[];
}

/** How a change of the keys ended. `done`, `already` and `pending` (it is on its way) are good. */
export interface KeyChange {
  readonly result: KeyringAnswer | 'retired' | 'pending';
  /** Of the key meant; empty when it could not be read. */
  readonly id: string;
}

/** The part of a mesh that its operators see: the shell is one. */
export interface AdministeredMesh {
  readonly core: MeshCore;
  readonly keys: KeyStore;
  readonly keyStorage: KeyStorage;
  readonly keyringFile:
    | { readonly path: string; readonly error: string | null; settled(): Promise<void> }
    | undefined;
  keyReports(waitMs: number): Promise<Map<string, KeyReport>>;
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
    const { keyringFile: file, keyStorage: state } = this.#mesh;
    return {
      keys,
      ticketKeyEpoch: this.#mesh.keys.counters.ticketKeyEpoch,
      storage: { state, file: file?.path ?? null, error: file?.error ?? null },
    };
  }

  /** Resolves when the disk has what changed so far, or does not take it: `error` says why. */
  async keysStored(): Promise<KeysReport['storage']> {
    await this.#mesh.keyringFile?.settled();
    return this.keys().storage;
  }

  /** The keys of all nodes, which are asked. @param waitMs Who is silent for so long is left out. */
  async keysOfAll(waitMs: number): Promise<MeshKeysReport> {
    await this.keysStored();
    const reports = await this.#mesh.keyReports(waitMs);
    const nodes = [...reports]
      .map(([id, { ids, used, ticketEpoch, storage }]) => ({
        id,
        keys: ids.map(keyIdText),
        used: keyIdText(used),
        ticketKeyEpoch: ticketEpoch,
        storage,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const silent = this.nodes()
      .nodes.filter(({ id, state }) => state !== 'left' && !reports.has(id))
      .map(({ id }) => id);
    return { ...this.keys(), nodes, silent };
  }

  /** Makes a new TLS ticket key on all nodes before its time. */
  renewTicketKey(): KeyChange {
    const result = this.#mesh.act((nowMs, out) => this.#mesh.keys.renewTicketKey(nowMs, out));
    return { result, id: '' };
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
