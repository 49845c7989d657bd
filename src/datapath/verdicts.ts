/**
 * How the datapath ended each packet, in the order of `enum hf_verdict` in bpf/layout.h. Each packet
 * seen by a hook ends in exactly one.
 */
export const VERDICTS = [
  ['other', 'uplink: not for a VIP'],
  ['fragment', 'uplink: fragment for a VIP, cannot be steered, left to the local stack'],
  ['syn', 'uplink: opens a connection, always local'],
  ['socket', 'uplink: the socket is here'],
  ['cookie', 'uplink: completes a handshake that a SYN cookie of ours began'],
  ['weak', 'uplink: remains of a connection are here and nobody else is known'],
  ['own_ticket', 'uplink: a ticket names this node'],
  ['relay_ticket', 'uplink: relayed to the owner that a ticket names'],
  ['find', 'uplink: sent to the home of the flow'],
  ['find_limited', 'uplink: dropped, too many packets of unknown flows'],
  ['owner_lost', 'uplink: the owner is dead, the local stack resets'],
  ['foreign_tunnel', 'uplink: dropped, tunnel packet from outside the underlay'],
  ['member_tunnel', 'uplink: tunnel packet of a member'],
  ['search', 'dropped, nobody asked knows the flow, a search was started'],
  ['search_limited', 'dropped, nobody asked knows the flow, too many searches'],
  ['grace', 'dropped, the search for its owner is under way'],
  ['unknown', 'nobody knows the flow, the local stack resets'],
  ['unknown_silent', 'nobody knows the flow, left to the local stack, which says nothing'],
  ['unsent', 'dropped, the node it should go to is not reachable'],
  ['delivered', 'tunnel: for a socket of this node'],
  ['found_here', 'tunnel: asked as home, the socket is here'],
  ['found_there', 'tunnel: asked as home, passed on to the owner'],
  ['found_lost', 'tunnel: asked as home, the owner is dead, the local stack resets'],
  ['reject_find', 'tunnel: asked as home, does not know, sent back'],
  ['reject_deliver', 'tunnel: named as owner, does not hold it, sent back'],
  ['find_again', 'tunnel: came back, sent to the next one who may know'],
  ['bad_cookie', 'tunnel: dropped, not of this cluster'],
  ['bad_sender', 'tunnel: dropped, sender is no member'],
  ['bad_inner', 'tunnel: dropped, content is not what a node sends'],
  ['away', 'uplink, leaving: not a SYN-ACK of a VIP'],
  ['born', 'uplink, leaving: SYN-ACK, flow ticket born'],
  ['born_again', 'uplink, leaving: SYN-ACK sent once more'],
  ['born_limited', 'uplink, leaving: SYN-ACK, its ticket waits for the whole connection'],
  ['tunnel_away', 'leaving: tunnel packet made by these programs'],
  ['tunnel_seen', 'leaving: tunnel packet of the tunnel device, its way is noted'],
] as const;

export type VerdictName = (typeof VERDICTS)[number][0];

/** How packets get into the tunnel, in the order of `enum hf_way`. */
export const WAYS = [
  ['device', 'wrapped by the tunnel device'],
  ['direct', 'wrapped by the programs, and sent as packets of the device were last seen to leave'],
] as const;

export type WayName = (typeof WAYS)[number][0];

/** Other counts, in the order of `enum hf_count`. */
export const COUNTS = [
  ['events_lost', 'events that found the ring full; the agent reads the flows anew'],
  ['own_full', 'connections without a ticket because the map of own flows is full'],
] as const;

export type CountName = (typeof COUNTS)[number][0];
