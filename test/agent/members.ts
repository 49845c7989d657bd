/** Made-up members and kernel tables for the tests of the agent's cores. */

import type { SlotWriter } from '../../src/agent/node-slots.ts';
import type { NodeEntry } from '../../src/datapath/node-table.ts';
import type { Member, MemberStatus, PeerTable } from '../../src/sync/core.ts';

export function member(number: number, changes: Partial<Member> = {}): Member {
  return {
    id: `node-${number}`,
    pop: `pop-${number}`,
    address: `198.51.100.${number}:7946`,
    boot: 1_000 + number,
    run: 1,
    configDigest: 0,
    version: '0.0.0',
    protocolMin: 1,
    protocolMax: 1,
    draining: false,
    status: 'alive',
    incarnation: 1,
    ...changes,
  };
}

/** Peers by number; this node is 0. */
export class Peers implements PeerTable {
  readonly self = 0;
  readonly members = new Map<number, Member>([[0, member(0)]]);

  set(number: number, status: MemberStatus, changes: Partial<Member> = {}): Member {
    const made = member(number, { status, ...changes });
    this.members.set(number, made);
    return made;
  }

  get(peer: number): Member | undefined {
    return this.members.get(peer);
  }

  indexOf(id: string): number | undefined {
    for (const [peer, each] of this.members) if (each.id === id) return peer;
    return undefined;
  }

  indices(): number[] {
    return [...this.members.keys()].sort((a, b) => a - b);
  }

  rttMs(): number | undefined {
    return undefined;
  }
}

/** The kernel's table of nodes, as far as it matters. */
export class Slots implements SlotWriter {
  readonly entries = new Map<number, NodeEntry>();

  get slots(): number[] {
    return [...this.entries.keys()];
  }

  place(entry: NodeEntry): number {
    let slot = 0;
    for (const [known, { address }] of this.entries) if (address === entry.address) slot = known;
    if (slot === 0) slot = Math.max(4, ...this.entries.keys()) + 1;
    this.entries.set(slot, entry);
    return slot;
  }

  clear(slot: number): void {
    this.entries.delete(slot);
  }

  get(slot: number): NodeEntry | undefined {
    return this.entries.get(slot);
  }

  /** State by last number of the address. */
  states(): Record<string, string> {
    return Object.fromEntries(
      [...this.entries.values()].map(({ address, state }) => [address.split('.').at(-1), state]),
    );
  }
}
