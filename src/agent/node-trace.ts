/** One node's view of a flow, in names instead of slots. */
import type { Datapath } from '../datapath/datapath.ts';
import type { FlowKey } from '../proto/ticket-key.ts';
import type { PeerTable } from '../sync/core.ts';
import type { NodeSlots } from './node-slots.ts';
import type { NodeTrace } from './trace-message.ts';

export function nodeTraceOf(
  datapath: Pick<Datapath, 'tracer' | 'boot'>,
  peers: PeerTable,
  slots: NodeSlots,
  key: FlowKey,
): NodeTrace {
  const trace = datapath.tracer.trace(key);
  const nameOf = (slot: number | undefined): string | null => {
    const peer = slot === undefined ? undefined : slots.peerOf(slot);
    return peer === undefined ? null : (peers.get(peer)?.id ?? null);
  };
  return {
    who: trace.who,
    how: trace.how,
    to: trace.who === 'there' || trace.who === 'ask' ? nameOf(trace.slot) : null,
    bucket: trace.bucket,
    socket: trace.socket ?? null,
    owner: nameOf(trace.ticket?.owner),
    ownerBoot: trace.ticket?.boot ?? null,
    source: trace.ticket?.source ?? null,
    homes: trace.homes.map((slot) => nameOf(slot) ?? '?'),
    own: trace.own !== undefined,
    halfOpen: trace.halfOpen !== undefined,
    missingMs: trace.missingMs ?? null,
    boot: datapath.boot,
  };
}
