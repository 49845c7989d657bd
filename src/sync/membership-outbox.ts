import type { MemberChange, Outbox, PeerIndex } from './core.ts';
import type { Entry } from './member-table.ts';

/** What membership may do beyond the other components: it runs the mesh that they use. */
export interface MembershipOutbox extends Outbox {
  /** Like `send`, with a packet field below 16, to a node of any status. */
  post(to: PeerIndex, field: number, body: Uint8Array): boolean;
  /** Like `stream`, likewise. */
  postStream(to: PeerIndex, field: number, body: Uint8Array): boolean;
  /** Sends that node a datagram if there are rumours to fill it. */
  nudge(to: PeerIndex): void;
  /** Starts a key exchange with an address whose node is not known. Rate limited. */
  contact(address: string): void;
  /** Starts a key exchange beside the present session, which may be dead on the other side. */
  doubt(to: PeerIndex): void;
  /** True when a session is up, so that a message costs no key exchange. */
  ready(to: PeerIndex): boolean;
  /** Tells every component, at once. */
  changed(change: MemberChange, entry: Entry): void;
}
