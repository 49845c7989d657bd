import type { Channel, Member, MemberChange, MeshComponent, MeshEvent, Outbox } from '../core.ts';

export const OBSERVER_CHANNEL = 63;

/** A component that only watches: what every other component is told, and one kind of rumour. */
export class Observer implements MeshComponent {
  readonly channels: readonly Channel[] = [OBSERVER_CHANNEL];
  readonly counters: Readonly<Record<string, number>> = {};
  readonly #onMember: (change: MemberChange, member: Member) => void;
  readonly #onRumour: (key: string) => void;
  readonly #heard = new Set<string>();

  constructor(
    onMember: (change: MemberChange, member: Member) => void,
    onRumour: (key: string) => void,
  ) {
    this.#onMember = onMember;
    this.#onRumour = onRumour;
  }

  handle(_nowMs: number, event: MeshEvent, out: Outbox): void {
    if (event.type === 'member') this.#onMember(event.change, event.member);
    else if (event.type === 'rumour') this.tell(new TextDecoder().decode(event.body), out);
  }

  /** Starts a rumour, or passes on one that is new here. */
  tell(key: string, out: Outbox): void {
    if (this.#heard.has(key)) return;
    this.#heard.add(key);
    this.#onRumour(key);
    out.broadcast(OBSERVER_CHANNEL, key, new TextEncoder().encode(key));
  }

  nextWakeupMs(): undefined {
    return undefined;
  }
}
