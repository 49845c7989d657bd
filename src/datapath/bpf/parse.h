/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From bytes to a flow. Headers are copied to the stack: the verifier then needs no proof about
 * offsets that the packet itself chooses, and non-linear packets need no care. Where a header is
 * nearly always at the same place, and in the packet's first part, it is read from there: that is
 * what most packets' time is spent with.
 */
#ifndef HOLDFAST_PARSE_H
#define HOLDFAST_PARSE_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "layout.h"

enum parsed {
	P_OTHER,
	P_TCP,
	P_ICMP,     /* an error about a TCP packet that a VIP sent */
	P_FRAGMENT, /* of TCP; cannot be steered: only the first names a port */
	P_UDP,
};

struct packet {
	struct hf_key key; /* of UDP: source and destination instead of client and VIP */
	__be32 ack;
	__be32 seq;
	__u32 l4;
	__u8 parsed;
	__u8 family; /* 4 or 6 */
	__u8 flags;  /* of TCP */
	__u8 ecn;    /* of the IP header */
	__u32 bytes; /* of the IP packet, without the frame's padding */
};

/* `to` gets the header at `at`, a constant. @return 0, or less when the packet is too short. */
#define HEADER_AT(skb, at, to)                                                             \
	({                                                                                 \
		void *start = (void *)(long)(skb)->data + (at);                            \
		long missing = 0;                                                          \
		if (start + sizeof(*(to)) <= (void *)(long)(skb)->data_end)                \
			*(to) = *(typeof(to))start;                                        \
		else                                                                       \
			missing = bpf_skb_load_bytes(skb, at, to, sizeof(*(to)));          \
		missing;                                                                   \
	})

/* TCP's header, which lies behind one of two lengths nearly always. As HEADER_AT. */
#define TCP_AT(skb, at, to)                                                                \
	((at) == ETH_HEAD + sizeof(struct ip4)                                             \
		 ? HEADER_AT(skb, ETH_HEAD + sizeof(struct ip4), to)                       \
	 : (at) == ETH_HEAD + sizeof(struct ip6)                                           \
		 ? HEADER_AT(skb, ETH_HEAD + sizeof(struct ip6), to)                       \
		 : bpf_skb_load_bytes(skb, at, to, sizeof(*(to))))

static __always_inline void mapped(__be32 *out, __be32 address)
{
	out[0] = 0;
	out[1] = 0;
	out[2] = bpf_htonl(0xffff);
	out[3] = address;
}

/* The tuple within an ICMP error is the answer's: turned round, it is the client's flow. */
static __always_inline void parse_error4(struct __sk_buff *skb, struct packet *p)
{
	struct ip4 inner;
	__be16 ports[2];
	__u8 type;

	if (bpf_skb_load_bytes(skb, p->l4, &type, 1) ||
	    (type != 3 && type != 11 && type != 12) ||
	    bpf_skb_load_bytes(skb, p->l4 + 8, &inner, sizeof(inner)) ||
	    inner.protocol != IPPROTO_TCP || (inner.frag_off & bpf_htons(0x1fff)) ||
	    bpf_skb_load_bytes(skb, p->l4 + 8 + (inner.version_ihl & 15) * 4, ports, 4))
		return;
	mapped(p->key.client, inner.daddr);
	mapped(p->key.vip, inner.saddr);
	p->key.client_port = ports[1];
	p->key.vip_port = ports[0];
	p->parsed = P_ICMP;
}

static __always_inline void parse_error6(struct __sk_buff *skb, struct packet *p)
{
	struct ip6 inner;
	__be16 ports[2];
	__u8 type;

	if (bpf_skb_load_bytes(skb, p->l4, &type, 1) || type < 1 || type > 4 ||
	    bpf_skb_load_bytes(skb, p->l4 + 8, &inner, sizeof(inner)) ||
	    inner.nexthdr != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, p->l4 + 8 + sizeof(inner), ports, 4))
		return;
	__builtin_memcpy(p->key.client, inner.daddr, 16);
	__builtin_memcpy(p->key.vip, inner.saddr, 16);
	p->key.client_port = ports[1];
	p->key.vip_port = ports[0];
	p->parsed = P_ICMP;
}

static __always_inline void parse_ports(struct __sk_buff *skb, struct packet *p, __u8 protocol)
{
	struct tcp tcp;

	if (protocol == IPPROTO_UDP) {
		if (!bpf_skb_load_bytes(skb, p->l4, &p->key.client_port, 4))
			p->parsed = P_UDP;
	} else if (!TCP_AT(skb, p->l4, &tcp)) {
		p->key.client_port = tcp.source;
		p->key.vip_port = tcp.dest;
		p->ack = tcp.ack_seq;
		p->seq = tcp.seq;
		p->flags = tcp.flags;
		p->parsed = P_TCP;
	}
}

static __always_inline void parse4(struct __sk_buff *skb, struct packet *p)
{
	struct ip4 ip;

	if (HEADER_AT(skb, ETH_HEAD, &ip))
		return;
	p->family = 4;
	p->l4 = ETH_HEAD + (ip.version_ihl & 15) * 4;
	p->ecn = ip.tos & 3;
	p->bytes = bpf_ntohs(ip.tot_len);
	mapped(p->key.client, ip.saddr);
	mapped(p->key.vip, ip.daddr);
	if (ip.frag_off & bpf_htons(0x1fff)) {
		if (ip.protocol == IPPROTO_TCP)
			p->parsed = P_FRAGMENT;
		return;
	}
	/* The first fragment of UDP has the ports that the filter of the tunnel port needs. */
	if (ip.frag_off & bpf_htons(0x2000) && ip.protocol == IPPROTO_TCP)
		p->parsed = P_FRAGMENT;
	else if (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP)
		parse_ports(skb, p, ip.protocol);
	else if (ip.protocol == IPPROTO_ICMP)
		parse_error4(skb, p);
}

static __always_inline void parse6(struct __sk_buff *skb, struct packet *p)
{
	struct ip6 ip;
	__u8 fragment[8];

	if (HEADER_AT(skb, ETH_HEAD, &ip))
		return;
	p->family = 6;
	p->l4 = ETH_HEAD + sizeof(ip);
	p->ecn = bpf_ntohl(ip.version_class_label) >> 20 & 3;
	p->bytes = sizeof(ip) + bpf_ntohs(ip.payload_len);
	__builtin_memcpy(p->key.client, ip.saddr, 16);
	__builtin_memcpy(p->key.vip, ip.daddr, 16);
	if (ip.nexthdr == IPPROTO_FRAGMENT) {
		if (bpf_skb_load_bytes(skb, p->l4, fragment, 8))
			return;
		if (fragment[0] == IPPROTO_TCP)
			p->parsed = P_FRAGMENT;
		if (fragment[0] != IPPROTO_UDP || fragment[2] || fragment[3] & 0xf8)
			return;
		p->l4 += 8;
		ip.nexthdr = IPPROTO_UDP;
	}
	if (ip.nexthdr == IPPROTO_TCP || ip.nexthdr == IPPROTO_UDP)
		parse_ports(skb, p, ip.nexthdr);
	else if (ip.nexthdr == IPPROTO_ICMPV6)
		parse_error6(skb, p);
}

static __always_inline void parse(struct __sk_buff *skb, struct packet *p)
{
	__builtin_memset(p, 0, sizeof(*p));
	if (skb->protocol == bpf_htons(ETH_P_IP))
		parse4(skb, p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		parse6(skb, p);
}

#endif
