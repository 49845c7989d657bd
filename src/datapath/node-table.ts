/** The nodes as the programs see them: slot → underlay address, boot, state; and back, by address. */
import { addressText, canonicalAddress, writeAddress } from './address-bytes.ts';
import { DatapathError } from './datapath-error.ts';
import { ALIVE, DEAD, EMPTY, NODE, NODES_MAX, SELF, SUSPECT } from './layout.ts';
import { callBpf, check, type Mapping, mapMemory } from './libbpf.ts';

const STATES = { alive: ALIVE, suspect: SUSPECT, dead: DEAD, self: SELF } as const;

/**
 * - `alive`: gets packets, answers as home.
 * - `suspect`: gets packets of flows it owns, is not asked as home.
 * - `dead` (also for a node that left): its flows are reset by the local stack.
 * - `self`: this node.
 */
export type NodeState = keyof typeof STATES;

export interface NodeEntry {
  /** Address of its end of the tunnel. */
  readonly address: string;
  /** Boot of its datapath; tickets of another boot are void. */
  readonly boot: number;
  readonly state: NodeState;
}

/**
 * A slot is the number that tickets and homes name a node by. It belongs to an underlay address, and
 * stays with it across agents, because tickets outlive agents.
 */
export class NodeTable {
  readonly #members: number;
  readonly #slots = new Map<string, number>();
  readonly #mapping: Mapping;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #slot = new Uint32Array(1);

  constructor(nodesFd: number, membersFd: number) {
    this.#members = membersFd;
    this.#mapping = mapMemory(nodesFd, NODE.bytes * NODES_MAX);
    this.#view = new DataView(this.#mapping.buffer);
    this.#bytes = new Uint8Array(this.#mapping.buffer);
    for (let slot = 0; slot < NODES_MAX; slot++) {
      const entry = this.get(slot);
      if (entry !== undefined) this.#slots.set(entry.address, slot);
    }
  }

  /** Slots in use, those that an earlier agent left included. */
  get slots(): readonly number[] {
    return [...this.#slots.values()];
  }

  /**
   * Writes the node that has this address, or makes a slot for it. In force with the next packet.
   * @returns its slot. @throws DatapathError when all 1,024 slots are in use: clear some.
   */
  place(entry: NodeEntry): number {
    const address = new Uint8Array(16);
    writeAddress(entry.address, address, 0);
    const name = addressText(address, 0);
    const slot = this.#slots.get(name) ?? this.#freeSlot();
    const at = slot * NODE.bytes;
    if (!this.#slots.has(name)) this.#bytes.set(address, at + NODE.address);
    this.#view.setUint32(at + NODE.boot, entry.boot, true);
    this.#view.setUint8(at + NODE.state, STATES[entry.state]);
    this.#slots.set(name, slot);
    // This node is no sender in its own tunnel.
    if (entry.state !== 'self') {
      this.#slot[0] = slot;
      const result = callBpf('bpf_map_update_elem', this.#members, address, this.#slot, 0);
      check(result, 'writing the map of members');
    }
    return slot;
  }

  /**
   * The slot stands for nobody from now on, and may stand for another node later. Take it out of the
   * homes table first. Tickets that name it are void: its boot is gone.
   */
  clear(slot: number): void {
    const entry = this.get(slot);
    if (entry === undefined) return;
    const at = slot * NODE.bytes;
    this.#view.setUint8(at + NODE.state, EMPTY);
    callBpf('bpf_map_delete_elem', this.#members, this.#bytes.slice(at, at + 16));
    this.#bytes.fill(0, at, at + NODE.bytes);
    this.#slots.delete(entry.address);
  }

  slotOf(address: string): number | undefined {
    return this.#slots.get(canonicalAddress(address));
  }

  get(slot: number): NodeEntry | undefined {
    checkSlot(slot);
    const at = slot * NODE.bytes;
    const value = this.#view.getUint8(at + NODE.state);
    for (const [state, number] of Object.entries(STATES)) {
      if (number !== value) continue;
      const address = addressText(this.#bytes, at + NODE.address);
      return { address, boot: this.bootOf(slot), state: state as NodeState };
    }
    return undefined;
  }

  /** 0 for an empty slot. */
  bootOf(slot: number): number {
    return this.#view.getUint32(slot * NODE.bytes + NODE.boot, true);
  }

  close(): void {
    this.#mapping.unmap();
  }

  #freeSlot(): number {
    for (let slot = 0; slot < NODES_MAX; slot++) {
      if (this.#view.getUint8(slot * NODE.bytes + NODE.state) === EMPTY) return slot;
    }
    throw new DatapathError('ERR_DATAPATH_FULL', `no more than ${NODES_MAX} nodes fit the table`);
  }
}

function checkSlot(slot: number): void {
  if (Number.isInteger(slot) && slot >= 0 && slot < NODES_MAX) return;
  throw new DatapathError('ERR_DATAPATH_ARGUMENT', `slot ${slot} is not below ${NODES_MAX}`);
}
