import type { Member, MemberChange, MeshComponent } from './core.ts';

/** A component that only tells of member changes. */
export function memberWatch(
  changed: (change: MemberChange, member: Member) => void,
): MeshComponent {
  return {
    channels: [],
    counters: {},
    handle(_nowMs, event) {
      if (event.type === 'member') changed(event.change, event.member);
    },
    nextWakeupMs: () => undefined,
  };
}
