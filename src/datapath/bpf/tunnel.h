/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From node to node: VXLAN by a device in collect_md mode, so the kernel does checksums, GSO, GRO
 * and fragmentation. The network identifier is stage (2 bits) and cookie (22 bits). The cookie finds
 * mistakes, not attackers: production underlays run on WireGuard or IPsec.
 */
#ifndef HOLDFAST_TUNNEL_H
#define HOLDFAST_TUNNEL_H

#include "maps.h"
#include "parse.h"

enum stage {
	S_DELIVER = 1, /* you own this */
	S_FIND = 2,    /* you are this flow's home: pass it on */
	S_REJECT = 3,  /* the packet back: not mine, and I know nobody */
};

/* The packet's new destination, for bpf_redirect. @return 0, or less when it cannot be sent. */
static __noinline int address_to(struct __sk_buff *skb, const struct hf_config *c, __u32 slot,
				      __u32 stage)
{
	struct hf_node *to = node(slot);
	struct hf_node *from = node(c->self);
	struct bpf_tunnel_key key = {};
	__u8 macs[12];

	if (!to || !from || (to->state != HF_ALIVE && to->state != HF_SUSPECT))
		return -1;
	key.tunnel_id = stage << HF_COOKIE_BITS | c->cookie;
	key.tunnel_ttl = 64;
	if (c->underlay6) {
		__builtin_memcpy(key.remote_ipv6, to->address, 16);
		__builtin_memcpy(key.local_ipv6, from->address, 16);
	} else {
		/* Host order in this interface, whatever its type says. */
		key.remote_ipv4 = bpf_ntohl(to->address[3]);
		key.local_ipv4 = bpf_ntohl(from->address[3]);
	}
	__builtin_memcpy(macs, c->tunnel_mac, 6);
	__builtin_memcpy(macs + 6, c->inner_mac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		return -1;
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key),
				      c->underlay6 ? BPF_F_TUNINFO_IPV6 : BPF_F_ZERO_CSUM_TX);
}

/* Where a tunnel packet comes from and what it wants. */
struct arrival {
	struct hf_address from;
	__u32 stage;
	__u32 cookie;
};

static __always_inline int arrived(struct __sk_buff *skb, const struct hf_config *c,
				   struct arrival *a)
{
	struct bpf_tunnel_key key = {};

	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), c->underlay6 ? BPF_F_TUNINFO_IPV6 : 0))
		return -1;
	a->stage = key.tunnel_id >> HF_COOKIE_BITS;
	a->cookie = key.tunnel_id & ((1 << HF_COOKIE_BITS) - 1);
	if (c->underlay6)
		__builtin_memcpy(a->from.word, key.remote_ipv6, 16);
	else
		mapped(a->from.word, bpf_htonl(key.remote_ipv4));
	return 0;
}

#endif
