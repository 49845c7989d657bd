// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Heals pop switches: carries a packet that reached the wrong node to the node whose kernel holds
 * its socket. See docs/design/datapath.md for the packet's way and the reasons.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "layout.h"
#include "maps.h"
#include "parse.h"
#include "owner.h"
#include "tunnel.h"
#include "direct.h"
#include "own.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
/* By which compiler, from which sources; for the test that compares. The kernel never sees it. */
char BUILT[] SEC("built") = HF_BUILT;

/* Every packet leaves through here, once. */
static __always_inline int end(__u32 verdict, int action)
{
	__u64 *n = bpf_map_lookup_elem(&hf_verdicts, &verdict);

	if (n)
		(*n)++;
	return action;
}

static __always_inline int pass(__u32 verdict)
{
	return end(verdict, TC_NEXT);
}

static __always_inline int drop(__u32 verdict)
{
	return end(verdict, TC_DROP);
}

/*
 * The tunnel device chooses its source port by the packet's hash, and devices their queues. Ours is at
 * hand, spares the kernel to take the packet apart once more, and keeps a flow's packets together that
 * took different ways into the tunnel.
 */
static __always_inline int send(struct __sk_buff *skb, const struct packet *p,
				const struct hf_config *c, __u32 slot, __u32 stage, __u32 verdict)
{
	struct hf_node *to = node(slot);
	__u32 way = HF_W_DEVICE;
	__u64 *sent;
	int action;

	if (!to || !answers(to))
		return drop(HF_V_UNSENT);
	bpf_set_hash(skb, flow_hash(&p->key));
	action = direct(skb, p, c, slot, stage);
	if (action == TC_DROP)
		return drop(HF_V_UNSENT);
	if (action >= 0)
		return end(verdict, action);
	if (address_to(skb, c, slot, stage))
		return drop(HF_V_UNSENT);
	sent = bpf_map_lookup_elem(&hf_ways, &way);
	if (sent)
		(*sent)++;
	return end(verdict, bpf_redirect(c->tunnel_ifindex, 0));
}

/* Packets of one flow that are under way together lie this near. */
#define SEQ_NEAR (1u << 24)

/*
 * Nobody we asked knows the flow. A reset now would be a guess: its ticket may be on the way. So its
 * packets are dropped for the time of grace, in which the client repeats them, while the agent
 * searches. After that the kernel answers, with its own reset. `except` is the slot of a node that
 * does not own the flow for sure, or HF_NO_SLOT.
 */
static __noinline int unknown(const struct packet *p, const struct hf_config *c, __u32 except)
{
	__u64 now = bpf_ktime_get_ns();
	struct hf_miss *miss, first = {};
	__u32 seq = bpf_ntohl(p->seq);
	__u64 age_ms;

	/* The kernel answers neither. */
	if (p->parsed != P_TCP || p->flags & TCP_RST)
		return pass(HF_V_UNKNOWN_SILENT);
	miss = bpf_map_lookup_elem(&hf_misses, &p->key);
	/* Repeated packets have the same number; ports used again have another flow's. */
	if (miss && seq - miss->seq + SEQ_NEAR < 2 * SEQ_NEAR) {
		age_ms = (now - miss->first_ns) / 1000000;
		if (age_ms < c->grace_ms)
			return drop(HF_V_GRACE);
		if (age_ms < c->forget_ms)
			return pass(HF_V_UNKNOWN);
	}
	first.first_ns = now;
	first.seq = seq;
	bpf_map_update_elem(&hf_misses, &p->key, &first, BPF_ANY);
	if (!within(HF_L_SEARCH, c->searches_max))
		return drop(HF_V_SEARCH_LIMITED);
	tell(HF_EV_SEARCH, except, 0, &p->key, bucket_of(&p->key, c->hash_seed));
	return drop(HF_V_SEARCH);
}

static __always_inline int relay(struct __sk_buff *skb, const struct packet *p,
				 const struct hf_config *c, struct hf_ticket *ticket)
{
	__u32 owner = ticket->owner;

	if (!(ticket->flags & HF_SEEN)) {
		ticket->flags |= HF_SEEN;
		/* Should it become unknown again, it gets its whole time of grace again. */
		bpf_map_delete_elem(&hf_misses, &p->key);
		tell(HF_EV_SWITCHED | ticket->source << 8, owner, 0, &p->key,
		     bucket_of(&p->key, c->hash_seed));
	}
	return send(skb, p, c, owner, S_DELIVER, HF_V_RELAY_TICKET);
}

static __always_inline int tunnel_port(const struct packet *p, const struct hf_config *c)
{
	struct hf_address from;

	if (p->key.vip_port != c->tunnel_port)
		return pass(HF_V_OTHER);
	/* The tunnel's socket listens on every address: only the underlay may reach it. */
	__builtin_memcpy(from.word, p->key.client, 16);
	if (c->shared_uplink && bpf_map_lookup_elem(&hf_members, &from))
		return pass(HF_V_MEMBER_TUNNEL);
	return drop(HF_V_FOREIGN_TUNNEL);
}

SEC("tc")
int hf_uplink(struct __sk_buff *skb)
{
	struct hf_config *c = config();
	struct hf_ticket *ticket;
	struct hf_answer a;
	struct packet p;

	if (!c)
		return TC_NEXT;
	parse(skb, &p);
	if (p.parsed == P_UDP)
		return tunnel_port(&p, c);
	if (p.parsed == P_FRAGMENT)
		return pass(is_vip(c, p.key.vip, 0) ? HF_V_FRAGMENT : HF_V_OTHER);
	if (p.parsed == P_OTHER || !is_vip(c, p.key.vip, p.key.vip_port))
		return pass(HF_V_OTHER);
	if ((p.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return pass(HF_V_SYN);

	who_owns(skb, &p, c, &a, &ticket);
	switch (a.who) {
	case HF_HERE:
		return pass(a.how == HF_BY_SOCKET   ? HF_V_SOCKET
			    : a.how == HF_BY_COOKIE ? HF_V_COOKIE
			    : a.how == HF_BY_WEAK   ? HF_V_WEAK
						    : HF_V_OWN_TICKET);
	case HF_THERE:
		if (ticket)
			return relay(skb, &p, c, ticket);
		break;
	case HF_ASK:
		/* Bounds the tunnel packets that a flood of made-up flows can cause. */
		if (!within(HF_L_FIND, c->finds_max))
			return drop(HF_V_FIND_LIMITED);
		return send(skb, &p, c, a.slot, S_FIND, HF_V_FIND);
	case HF_LOST:
		return pass(HF_V_OWNER_LOST);
	}
	/* A handshake here that the packet does not belong to: whoever owns it, we do not. */
	return unknown(&p, c, a.socket == TCP_NEW_SYN_RECV ? c->self : HF_NO_SLOT);
}

/* An entry asks us as the flow's home. */
static __always_inline int find(struct __sk_buff *skb, const struct packet *p,
				const struct hf_config *c, __u32 sender)
{
	__u32 now_ms = bpf_ktime_get_ns() / 1000000;
	struct hf_ticket *ticket;
	struct hf_answer a;

	who_owns(skb, p, c, &a, &ticket);
	if (a.who == HF_HERE)
		return pass(HF_V_FOUND_HERE);
	/* Only the home may say this for sure, and the entry waits for no reset but ours. */
	if (a.who == HF_LOST)
		return pass(HF_V_FOUND_LOST);
	if (a.who != HF_THERE || a.slot == sender || !ticket)
		return send(skb, p, c, sender, S_REJECT, HF_V_REJECT_FIND);
	if (ticket->told_entry != sender || now_ms - ticket->told_ms >= 1000) {
		ticket->told_entry = sender;
		ticket->told_ms = now_ms;
		tell(HF_EV_FOUND, sender, 0, &p->key, bucket_of(&p->key, c->hash_seed));
	}
	return send(skb, p, c, a.slot, S_DELIVER, HF_V_FOUND_THERE);
}

/*
 * A packet we sent on comes back. A ticket that was refused is forgotten, so each turn uses up what
 * caused it, and the packet can try the next source: it ends after five legs at most.
 */
static __always_inline int rejected(struct __sk_buff *skb, const struct packet *p,
				    const struct hf_config *c, __u32 sender)
{
	struct hf_ticket *ticket = bpf_map_lookup_elem(&hf_tickets, &p->key);
	struct hf_answer a;

	if (ticket && ticket->owner == sender) {
		bpf_map_delete_elem(&hf_tickets, &p->key);
		tell(HF_EV_REFUSED, sender, 0, &p->key, bucket_of(&p->key, c->hash_seed));
	}
	who_owns(skb, p, c, &a, &ticket);
	if (a.who == HF_HERE)
		return pass(HF_V_FOUND_HERE);
	if (a.who == HF_LOST)
		return pass(HF_V_FOUND_LOST);
	if (a.who == HF_THERE && a.slot != sender)
		return send(skb, p, c, a.slot, S_DELIVER, HF_V_FIND_AGAIN);
	if (a.who == HF_ASK && a.slot != sender)
		return send(skb, p, c, a.slot, S_FIND, HF_V_FIND_AGAIN);
	return unknown(p, c, sender);
}

SEC("tc")
int hf_tunnel(struct __sk_buff *skb)
{
	struct hf_config *c = config();
	struct arrival from = {};
	struct packet p;
	__u32 *sender;
	__u8 socket;

	if (!c)
		return TC_DROP;
	if (arrived(skb, c, &from) || from.cookie != c->cookie)
		return drop(HF_V_BAD_COOKIE);
	sender = bpf_map_lookup_elem(&hf_members, &from.from);
	if (!sender)
		return drop(HF_V_BAD_SENDER);
	parse(skb, &p);
	if ((p.parsed != P_TCP && p.parsed != P_ICMP) || !is_vip(c, p.key.vip, p.key.vip_port) ||
	    (p.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return drop(HF_V_BAD_INNER);
	switch (from.stage) {
	case S_DELIVER:
		if (held_here(skb, &p, &socket) != HELD_NOT)
			return pass(HF_V_DELIVERED);
		return send(skb, &p, c, *sender, S_REJECT, HF_V_REJECT_DELIVER);
	case S_FIND:
		return find(skb, &p, c, *sender);
	case S_REJECT:
		return rejected(skb, &p, c, *sender);
	}
	return drop(HF_V_BAD_INNER);
}

/* Clients' segments must fit the tunnel. The kernel writes this option first. */
static __always_inline void clamp_mss(struct __sk_buff *skb, const struct packet *p,
				      const struct hf_config *c)
{
	__be16 most = bpf_htons(p->family == 4 ? c->mss4 : c->mss6);
	__be16 option[2];

	if (!most || bpf_skb_load_bytes(skb, p->l4 + sizeof(struct tcp), option, 4) ||
	    option[0] != bpf_htons(0x0204) || bpf_ntohs(option[1]) <= bpf_ntohs(most))
		return;
	bpf_l4_csum_replace(skb, p->l4 + __builtin_offsetof(struct tcp, check), option[1], most, 2);
	bpf_skb_store_bytes(skb, p->l4 + sizeof(struct tcp) + 2, &most, 2, 0);
}

/*
 * Tickets are born with the SYN-ACK, not with the established connection: when a handshake is split
 * over two nodes, its last packet already needs one.
 */
static __always_inline int born(struct __sk_buff *skb, const struct packet *p, __be32 isn,
				struct hf_config *c)
{
	clamp_mss(skb, p, c);
	return pass(begun(&p->key, isn, c));
}

static __always_inline int away(struct __sk_buff *skb, const struct hf_config *c,
				const struct ip4 *ip4, const struct ip6 *ip6)
{
	if (ip4 ? tunnel_leaves4(skb, c, ip4) : tunnel_leaves6(skb, c, ip6))
		return pass(HF_V_TUNNEL_SEEN);
	return pass(HF_V_AWAY);
}

/* On the underlay's device, when that is no uplink. */
SEC("tc")
int hf_under(struct __sk_buff *skb)
{
	struct hf_config *c = config();
	struct ip4 ip4;
	struct ip6 ip6;

	if (!c)
		return TC_NEXT;
	if (skb->cb[0] == OURS)
		return pass(HF_V_TUNNEL_AWAY);
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!bpf_skb_load_bytes(skb, ETH_HEAD, &ip4, sizeof(ip4)))
			return away(skb, c, &ip4, 0);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (!bpf_skb_load_bytes(skb, ETH_HEAD, &ip6, sizeof(ip6)))
			return away(skb, c, 0, &ip6);
	}
	return pass(HF_V_AWAY);
}

SEC("tc")
int hf_away(struct __sk_buff *skb)
{
	struct hf_config *c = config();
	struct packet p = {};
	struct tcp tcp;

	if (!c)
		return TC_NEXT;
	if (skb->cb[0] == OURS)
		return pass(HF_V_TUNNEL_AWAY);
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct ip4 ip;

		if (HEADER_AT(skb, ETH_HEAD, &ip))
			return pass(HF_V_AWAY);
		if (ip.protocol != IPPROTO_TCP)
			return away(skb, c, &ip, 0);
		p.family = 4;
		p.l4 = ETH_HEAD + (ip.version_ihl & 15) * 4;
		mapped(p.key.client, ip.daddr);
		mapped(p.key.vip, ip.saddr);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ip6 ip;

		if (HEADER_AT(skb, ETH_HEAD, &ip))
			return pass(HF_V_AWAY);
		if (ip.nexthdr != IPPROTO_TCP)
			return away(skb, c, 0, &ip);
		p.family = 6;
		p.l4 = ETH_HEAD + sizeof(ip);
		__builtin_memcpy(p.key.client, ip.daddr, 16);
		__builtin_memcpy(p.key.vip, ip.saddr, 16);
	} else {
		return pass(HF_V_AWAY);
	}
	if (TCP_AT(skb, p.l4, &tcp) ||
	    (tcp.flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK) ||
	    !is_vip(c, p.key.vip, tcp.source))
		return pass(HF_V_AWAY);
	p.key.client_port = tcp.dest;
	p.key.vip_port = tcp.source;
	return born(skb, &p, tcp.seq, c);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(hf_state, struct sock *sk, int before, int after)
{
	struct hf_config *c = config();
	struct hf_key key = {};

	if (!c || (after != TCP_CLOSE && (after != TCP_ESTABLISHED || before != TCP_SYN_RECV)))
		return 0;
	if (sk->__sk_common.skc_net.net->net_cookie != c->netns_cookie)
		return 0;
	if (key_of(sk, &key) || !is_vip(c, key.vip, key.vip_port))
		return 0;
	if (after == TCP_ESTABLISHED)
		established(&key, c);
	else
		closed(&key, c);
	return 0;
}

/*
 * What would be done with the next packet of a flow? Run by the agent alone, with a key behind an
 * Ethernet head; the answer is written behind the key. Asks the same question in the same place as
 * the packets do and changes nothing.
 */
SEC("tc")
int hf_trace(struct __sk_buff *skb)
{
	struct hf_config *c = config();
	struct hf_trace t = {};
	struct hf_ticket *ticket;
	struct hf_homes *homes;
	struct hf_miss *miss;
	struct hf_own *own;
	struct packet p = {};
	struct place place;
	__u32 table;

	if (!c || bpf_skb_load_bytes(skb, ETH_HEAD, &p.key, sizeof(p.key)))
		return TC_DROP;
	p.parsed = P_ICMP; /* no header to find a cookie in */
	p.family = !p.key.client[0] && !p.key.client[1] && p.key.client[2] == bpf_htonl(0xffff)
			   ? 4
			   : 6;
	who_owns(skb, &p, c, &t.answer, &ticket);
	t.answer.bucket = bucket_of(&p.key, c->hash_seed);
	/* The lookup stops at the first answer; here all of them are of interest. */
	ticket = bpf_map_lookup_elem(&hf_tickets, &p.key);
	t.ticket_owner = HF_NO_SLOT;
	if (ticket) {
		t.ticket_owner = ticket->owner;
		t.ticket_boot = ticket->boot;
		t.ticket_source = ticket->source;
	}
	own = bpf_map_lookup_elem(&hf_own, &p.key);
	if (own)
		t.own_generation = own->generation;
	place = place_of(&p.key, c);
	t.birth_generation = name_at(&place) >> 32;
	miss = bpf_map_lookup_elem(&hf_misses, &p.key);
	if (miss)
		t.missing_ms = (bpf_ktime_get_ns() - miss->first_ns) / 1000000 + 1;
	table = c->homes_table & 1;
	homes = bpf_map_lookup_elem(&hf_homes, &table);
#pragma unroll
	for (int i = 0; i < HF_HOMES; i++)
		t.home[i] = homes ? homes->slot[t.answer.bucket & (HF_BUCKETS - 1)][i] : HF_NO_SLOT;
	bpf_skb_store_bytes(skb, ETH_HEAD + sizeof(p.key), &t, sizeof(t), 0);
	return TC_NEXT;
}
