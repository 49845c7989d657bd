/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who owns this flow? The one place that answers. */
#ifndef HOLDFAST_OWNER_H
#define HOLDFAST_OWNER_H

#include "maps.h"
#include "parse.h"

enum held { HELD_NOT, HELD_WEAK, HELD_COOKIE, HELD_SOCKET };

/* A SYN cookie is as good as a socket: the handshake's last packet makes one from it. */
static __always_inline int cookie_is_ours(struct __sk_buff *skb, const struct packet *p,
					  struct bpf_sock *sk)
{
	union {
		struct ip4 v4;
		struct ip6 v6;
	} ip;
	struct tcp tcp;

	if (p->parsed != P_TCP || (p->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK ||
	    bpf_skb_load_bytes(skb, p->l4, &tcp, sizeof(tcp)))
		return 0;
	if (p->family == 4) {
		if (bpf_skb_load_bytes(skb, ETH_HEAD, &ip.v4, sizeof(ip.v4)))
			return 0;
		return !bpf_tcp_check_syncookie(sk, &ip.v4, sizeof(ip.v4), (void *)&tcp,
						sizeof(tcp));
	}
	if (bpf_skb_load_bytes(skb, ETH_HEAD, &ip.v6, sizeof(ip.v6)))
		return 0;
	return !bpf_tcp_check_syncookie(sk, &ip.v6, sizeof(ip.v6), (void *)&tcp, sizeof(tcp));
}

/*
 * Does this node's kernel hold the flow? Weak: it holds remains (TIME_WAIT) or a handshake that may
 * have been completed elsewhere, so a ticket of another node outweighs it.
 */
static __always_inline int held_here(struct __sk_buff *skb, const struct packet *p, __u8 *state)
{
	struct tcp_request_sock *handshake;
	struct bpf_sock_tuple tuple;
	struct bpf_sock *sk;
	int held;

	*state = 0;
	if (p->family == 4) {
		tuple.ipv4.saddr = p->key.client[3];
		tuple.ipv4.daddr = p->key.vip[3];
		tuple.ipv4.sport = p->key.client_port;
		tuple.ipv4.dport = p->key.vip_port;
		sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(&tuple.ipv6, &p->key, sizeof(tuple.ipv6));
		sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return HELD_NOT;
	*state = sk->state;
	switch (sk->state) {
	case TCP_LISTEN:
		held = cookie_is_ours(skb, p, sk) ? HELD_COOKIE : HELD_NOT;
		break;
	case TCP_TIME_WAIT:
		held = HELD_WEAK;
		break;
	case TCP_NEW_SYN_RECV:
		/*
		 * The client may have got SYN-ACKs from two nodes. The one it took shows in its
		 * acknowledgement: a packet that names another number is not for our handshake, and
		 * our kernel would reset the connection that another node made of it.
		 */
		held = HELD_WEAK;
		handshake = bpf_skc_to_tcp_request_sock(sk);
		if (handshake && p->parsed == P_TCP && p->flags & TCP_ACK)
			held = bpf_ntohl(p->ack) == handshake->snt_isn + 1 ? HELD_SOCKET : HELD_NOT;
		break;
	default:
		held = HELD_SOCKET;
	}
	bpf_sk_release(sk);
	return held;
}

static __always_inline int answers(const struct hf_node *n)
{
	return n->state == HF_ALIVE || n->state == HF_SUSPECT;
}

/*
 * local socket → ticket → [a tag in the packet would be read here] → home
 * A ticket is a hint, and so will a tag be: the node it names has the last word.
 * `by` is the ticket that was looked at, whatever it was good for. The bucket is there when a home was
 * looked for.
 */
static __noinline void who_owns(struct __sk_buff *skb, const struct packet *p,
				     const struct hf_config *c, struct hf_answer *a,
				     struct hf_ticket **by)
{
	struct hf_ticket *ticket;
	struct hf_homes *homes;
	struct hf_node *n;
	__u32 table = c->homes_table & 1;
	__u32 bucket, slot;
	int lost = 0;
	int held;

	*by = 0;
	__builtin_memset(a, 0, sizeof(*a));
	a->slot = HF_NO_SLOT;
	held = held_here(skb, p, &a->socket);
	if (held >= HELD_COOKIE) {
		a->who = HF_HERE;
		a->how = held == HELD_SOCKET ? HF_BY_SOCKET : HF_BY_COOKIE;
		return;
	}

	ticket = bpf_map_lookup_elem(&hf_tickets, &p->key);
	*by = ticket;
	if (ticket) {
		slot = ticket->owner;
		n = node(slot);
		if (n && n->boot == ticket->boot && (answers(n) || n->state == HF_SELF)) {
			a->who = n->state == HF_SELF ? HF_HERE : HF_THERE;
			a->how = HF_BY_TICKET;
			a->slot = slot;
			return;
		}
		lost = 1;
	}
	if (held == HELD_WEAK) {
		a->who = HF_HERE;
		a->how = HF_BY_WEAK;
		return;
	}

	a->who = lost ? HF_LOST : HF_UNKNOWN;
	a->how = lost ? HF_BY_TICKET : HF_BY_NOTHING;
	bucket = bucket_of(&p->key, c->hash_seed);
	a->bucket = bucket;
	homes = bpf_map_lookup_elem(&hf_homes, &table);
	if (!homes)
		return;
#pragma unroll
	for (int i = 0; i < HF_HOMES; i++) {
		slot = homes->slot[bucket & (HF_BUCKETS - 1)][i];
		n = node(slot);
		if (!n)
			continue;
		if (n->state == HF_SELF)
			return;
		if (n->state == HF_ALIVE) {
			/* Even when our ticket names a dead owner: the home may know a newer one. */
			a->who = HF_ASK;
			a->how = HF_BY_HOME;
			a->slot = slot;
			return;
		}
	}
}

#endif
