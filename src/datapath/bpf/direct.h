/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The short way into the tunnel, for packets that are one segment: we write the same bytes as the
 * tunnel device would, and send them as its packets were last seen to leave. That spares a packet the
 * device, a route lookup and a second IP output, which together cost more than plain forwarding.
 *
 * Nothing is asked of routes or neighbours: packets of the device pass hf_away or hf_under on their
 * way out, which note the frame's head for the next 100 ms. So whatever the kernel decides about them
 * (routes, rules, neighbours, encryption) is decided for ours too, and where its packets leave as
 * something else (no Ethernet, IPsec) there is nothing to note and all take the device.
 */
#ifndef HOLDFAST_DIRECT_H
#define HOLDFAST_DIRECT_H

#include "maps.h"
#include "parse.h"
#include "tunnel.h"

#define HOP_NS 100000000ull
/* In skb->cb: sent by us, nothing to learn from. The IP stack clears that room. */
#define OURS 0x68664f57

struct udp {
	__be16 source;
	__be16 dest;
	__be16 len;
	__u16 check;
};

/* From the outer IP header to the client's. RFC 7348. */
struct shell {
	struct udp udp;
	__be16 vxlan_flags[2];
	__be16 vxlan_id[2];
	__u8 macs[12];
	__be16 type;
};
_Static_assert(sizeof(struct shell) == 30, "no padding");

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u64 sum16(const void *at, int words)
{
	const __u16 *word = at;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

static __always_inline __u64 sum32(const __be32 *word, int words)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

/*
 * A packet of the tunnel device leaves by this hook, to a member. `bytes` are the IP packet's.
 * @return 1 when it was one.
 */
static __noinline int seen(struct __sk_buff *skb, const struct hf_address *to, __u32 bytes,
			   __u32 tos_ttl)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct hf_hop *hop;
	__u32 *slot;

	slot = bpf_map_lookup_elem(&hf_members, to);
	if (!slot)
		return 0;
	hop = bpf_map_lookup_elem(&hf_hops, slot);
	if (!hop)
		return 0;
	if (hop->until_ns <= now) {
		__u8 macs[12];

		if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
			return 0;
		__builtin_memcpy(hop->macs, macs, sizeof(macs));
		hop->ifindex = skb->ifindex;
		hop->dscp = tos_ttl >> 8 & 0xfc;
		hop->ttl = tos_ttl;
		hop->bytes_max = 0;
		/* Two that write at once saw the same way; who reads meanwhile still finds it too old. */
		asm volatile("" ::: "memory");
		hop->until_ns = now + HOP_NS;
	}
	/* Of what the device will split only the pieces' size says something. */
	if (!skb->gso_size && bytes > hop->bytes_max && bytes <= 0xffff)
		hop->bytes_max = bytes;
	return 1;
}

static __always_inline int tunnel_leaves4(struct __sk_buff *skb, const struct hf_config *c,
					  const struct ip4 *ip)
{
	struct hf_node *self;
	struct hf_address to;
	__be16 port;

	if (ip->protocol != IPPROTO_UDP || c->underlay6 || ip->version_ihl != 0x45 ||
	    ip->frag_off & bpf_htons(0x3fff) || skb->cb[0] == OURS || skb->vlan_present ||
	    bpf_skb_load_bytes(skb, ETH_HEAD + sizeof(*ip) + 2, &port, 2) ||
	    port != c->tunnel_port)
		return 0;
	self = node(c->self);
	/* Another source than the one asked for: somebody translates addresses. */
	if (!self || self->address[3] != ip->saddr)
		return 0;
	mapped(to.word, ip->daddr);
	return seen(skb, &to, bpf_ntohs(ip->tot_len), ip->tos << 8 | ip->ttl);
}

static __always_inline int tunnel_leaves6(struct __sk_buff *skb, const struct hf_config *c,
					  const struct ip6 *ip)
{
	struct hf_node *self;
	struct hf_address to;
	__be16 port;

	if (ip->nexthdr != IPPROTO_UDP || !c->underlay6 || skb->cb[0] == OURS ||
	    skb->vlan_present ||
	    bpf_skb_load_bytes(skb, ETH_HEAD + sizeof(*ip) + 2, &port, 2) ||
	    port != c->tunnel_port)
		return 0;
	self = node(c->self);
	if (!self || self->address[0] != ip->saddr[0] || self->address[1] != ip->saddr[1] ||
	    self->address[2] != ip->saddr[2] || self->address[3] != ip->saddr[3])
		return 0;
	__builtin_memcpy(to.word, ip->daddr, 16);
	return seen(skb, &to, sizeof(*ip) + bpf_ntohs(ip->payload_len),
		    (bpf_ntohl(ip->version_class_label) >> 20 & 0xff) << 8 | ip->hop_limit);
}

/*
 * The hash that the tunnel device makes its source port of: 16 bits, and one so that it is never 0,
 * which the kernel would compute anew. A cheap one: it spreads flows over queues and ways, no more.
 */
static __always_inline __u32 flow_hash(const struct hf_key *key)
{
	__u32 h = key->client[0] ^ key->client[1] ^ key->client[3];

	h = (h ^ key->vip[3]) * 0x9e3779b1;
	h ^= h >> 16;
	h = (h ^ (key->client_port << 16 | key->vip_port)) * 0x85ebca6b;
	return 1 << 16 | h >> 16;
}

/* As udp_flow_src_port() of the kernel. */
static __always_inline __be16 source_port(const struct hf_config *c, __u32 hash)
{
	hash ^= hash << 16;
	return bpf_htons((__u16)((__u64)hash * c->source_span >> 32) + c->source_min);
}

/*
 * UDP's checksum, which IPv6 demands, without reading the packet: with its own right checksum, a TCP
 * segment and its pseudo header add up to nothing, and so does an IPv4 header. ("Local checksum
 * offload" of the kernel.) Around a packet with a wrong checksum ours is wrong too.
 */
static __always_inline __u16 checksum6(struct __sk_buff *skb, const struct packet *p,
				       const struct shell *shell, const struct hf_node *from,
				       const struct hf_node *to)
{
	__u64 sum = sum32(from->address, 4) + sum32(to->address, 4) +
		    sum16(shell, sizeof(*shell) / 2) + bpf_htons(IPPROTO_UDP) + shell->udp.len;
	__u64 less = bpf_htons(IPPROTO_TCP);
	__be32 head[2];
	__u16 check;

	if (p->family == 4) {
		/* ::ffff:a.b.c.d adds 0xffff to a.b.c.d, which is nothing. */
		less += sum32(p->key.client, 4) + sum32(p->key.vip, 4) +
			bpf_htons(p->bytes + ETH_HEAD - p->l4);
	} else {
		/* Addresses and length are in its header and in the pseudo header: nothing again. */
		if (bpf_skb_load_bytes(skb, ETH_HEAD, head, sizeof(head)))
			return 0;
		sum += head[0] + (__u64)(head[1] >> 16);
	}
	check = ~fold(sum + (__u16)~fold(less));
	return check ? check : 0xffff;
}

/* Whole heads, so that one write does. The IP header stands as the verifier wants it. */
struct four {
	__u8 before[2];
	__u8 macs[12];
	__be16 type;
	struct ip4 ip;
	struct shell shell;
};

struct six {
	__u8 before[2];
	__u8 macs[12];
	__be16 type;
	struct ip6 ip;
	struct shell shell;
};

/*
 * `summed` is less than 0 when the card may have summed up the packet: a sum that knows nothing of the
 * Ethernet head, but must know of what comes behind it now.
 */
static __always_inline int write(struct __sk_buff *skb, const __u8 *head, __u32 behind, int summed)
{
	if (summed >= 0)
		return bpf_skb_store_bytes(skb, 0, head, ETH_HEAD + behind, 0);
	return bpf_skb_store_bytes(skb, 0, head, ETH_HEAD, 0) ||
	       bpf_skb_store_bytes(skb, ETH_HEAD, head + ETH_HEAD, behind, BPF_F_RECOMPUTE_CSUM);
}

/* `skb` has its hash. */
static __always_inline void fill(struct shell *shell, struct __sk_buff *skb,
				 const struct hf_config *c, __u32 stage, __u32 udp_bytes)
{
	shell->udp.source = source_port(c, skb->hash);
	shell->udp.dest = c->tunnel_port;
	shell->udp.len = bpf_htons(udp_bytes);
	shell->udp.check = 0;
	shell->vxlan_flags[0] = bpf_htons(0x0800);
	shell->vxlan_flags[1] = 0;
	shell->vxlan_id[0] = bpf_htons(stage << (HF_COOKIE_BITS - 8) | c->cookie >> 8);
	shell->vxlan_id[1] = bpf_htons(c->cookie << 8);
	__builtin_memcpy(shell->macs, c->tunnel_mac, 6);
	__builtin_memcpy(shell->macs + 6, c->inner_mac, 6);
	shell->type = skb->protocol;
}

#define WRAPPED                                                                            \
	(BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |                       \
	 BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HEAD))

/*
 * @return what bpf_redirect said; TC_DROP when the packet is spoilt; -1 when it is as it was and must
 * take the device: it is not one segment of TCP, or longer than what was seen to leave, or nothing
 * was seen lately.
 */
static __noinline int direct(struct __sk_buff *skb, const struct packet *p,
			     const struct hf_config *c, __u32 slot, __u32 stage)
{
	__u32 udp_bytes = skb->len + sizeof(struct udp) + 8;
	__u32 way = HF_W_DIRECT;
	struct hf_node *from, *to;
	struct hf_hop *hop;
	__u32 ifindex;
	__u64 *sent;
	int summed;
	__u8 tos;

	if (skb->gso_size || p->parsed != P_TCP || skb->vlan_present || !c->source_span ||
	    skb->len < ETH_HEAD + p->bytes)
		return -1;
	hop = bpf_map_lookup_elem(&hf_hops, &slot);
	from = node(c->self);
	to = node(slot);
	sent = bpf_map_lookup_elem(&hf_ways, &way);
	if (!hop || !from || !to || !sent || hop->until_ns <= bpf_ktime_get_coarse_ns() ||
	    udp_bytes + (c->underlay6 ? sizeof(struct ip6) : sizeof(struct ip4)) > hop->bytes_max)
		return -1;
	ifindex = hop->ifindex;
	/* As the tunnel device: who marked congestion within is not to be overruled without. */
	tos = hop->dscp | (p->ecn == 3 ? 2 : p->ecn);
	summed = bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY);

	if (!c->underlay6) {
		struct four four;

		__builtin_memcpy(four.macs, hop->macs, 12);
		four.type = bpf_htons(ETH_P_IP);
		four.ip.version_ihl = 0x45;
		four.ip.tos = tos;
		four.ip.tot_len = bpf_htons(sizeof(four.ip) + udp_bytes);
		/* Unlike for a while, should a router split it. */
		four.ip.id = *sent + bpf_get_smp_processor_id() * 0x9e37;
		four.ip.frag_off = 0;
		four.ip.ttl = hop->ttl;
		four.ip.protocol = IPPROTO_UDP;
		four.ip.check = 0;
		four.ip.saddr = from->address[3];
		four.ip.daddr = to->address[3];
		four.ip.check = ~fold(sum32((__be32 *)&four.ip, sizeof(four.ip) / 4));
		fill(&four.shell, skb, c, stage, udp_bytes);
		if (bpf_skb_adjust_room(skb, sizeof(four.ip) + sizeof(four.shell), BPF_ADJ_ROOM_MAC,
					BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | WRAPPED))
			return -1;
		if (write(skb, four.macs, sizeof(four.ip) + sizeof(four.shell), summed))
			return TC_DROP;
	} else {
		struct six six;

		/* The checksum covers the frame's padding, which may be anything. */
		if (skb->len > ETH_HEAD + p->bytes) {
			if (bpf_skb_change_tail(skb, ETH_HEAD + p->bytes, 0))
				return -1;
			udp_bytes = ETH_HEAD + p->bytes + sizeof(struct udp) + 8;
		}
		__builtin_memcpy(six.macs, hop->macs, 12);
		six.type = bpf_htons(ETH_P_IPV6);
		six.ip.version_class_label = bpf_htonl(6 << 28 | tos << 20);
		six.ip.payload_len = bpf_htons(udp_bytes);
		six.ip.nexthdr = IPPROTO_UDP;
		six.ip.hop_limit = hop->ttl;
		__builtin_memcpy(six.ip.saddr, from->address, 16);
		__builtin_memcpy(six.ip.daddr, to->address, 16);
		fill(&six.shell, skb, c, stage, udp_bytes);
		six.shell.udp.check = checksum6(skb, p, &six.shell, from, to);
		if (!six.shell.udp.check ||
		    bpf_skb_adjust_room(skb, sizeof(six.ip) + sizeof(six.shell), BPF_ADJ_ROOM_MAC,
					BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | WRAPPED))
			return -1;
		if (write(skb, six.macs, sizeof(six.ip) + sizeof(six.shell), summed))
			return TC_DROP;
	}
	(*sent)++;
	skb->cb[0] = OURS;
	return bpf_redirect(ifindex, 0);
}

#endif
