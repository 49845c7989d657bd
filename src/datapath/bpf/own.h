/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections of this node, as the kernel tells of their sockets. */
#ifndef HOLDFAST_OWN_H
#define HOLDFAST_OWN_H

#include <bpf/bpf_core_read.h>

#include "kernel.h"
#include "maps.h"
#include "parse.h"

static __always_inline void copy6(__be32 *to, const struct in6_addr *from)
{
	to[0] = from->in6_u.u6_addr32[0];
	to[1] = from->in6_u.u6_addr32[1];
	to[2] = from->in6_u.u6_addr32[2];
	to[3] = from->in6_u.u6_addr32[3];
}

static __always_inline int key_of(struct sock *sk, struct hf_key *key)
{
	const struct inet_sock *inet = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct inet_sock));
	const struct sock_common *s = &sk->__sk_common;
	__u16 family = s->skc_family;

	if (family == AF_INET) {
		mapped(key->client, s->skc_daddr);
		mapped(key->vip, s->skc_rcv_saddr);
	} else if (family == AF_INET6) {
		/* Also right for IPv4 on an IPv6 socket: the kernel keeps the mapped form here. */
		copy6(key->client, &s->skc_v6_daddr);
		copy6(key->vip, &s->skc_v6_rcv_saddr);
	} else {
		return -1;
	}
	key->client_port = s->skc_dport;
	/* At CLOSE the kernel has already given skc_num back. */
	key->vip_port = inet->inet_sport;
	return 0;
}

#define TOLD 1u

_Static_assert(HF_BIRTHS == 65536 && HF_BUCKETS == 65536, "half of a hash each");

struct place {
	struct hf_birth *birth;
	__u32 bucket;
	__u32 tag;
};

/* Where a handshake of that flow would be. Whether it is there, its name says. */
static __always_inline struct place place_of(const struct hf_key *key, const struct hf_config *c)
{
	__u32 hash = hash_of(key, c->hash_seed);
	__u32 at = hash >> 16;
	struct place place = {
		.birth = bpf_map_lookup_elem(&hf_births, &at),
		.bucket = hash & (HF_BUCKETS - 1),
		.tag = hash_of(key, ~c->hash_seed) & ~TOLD,
	};

	return place;
}

static __always_inline __u64 name_at(const struct place *place)
{
	__u64 name = place->birth ? *(volatile __u64 *)&place->birth->name : 0;

	return ((__u32)name & ~TOLD) == place->tag ? name : 0;
}

static __always_inline __u32 next_generation(struct hf_config *c)
{
	return __sync_fetch_and_add(&c->generation, 1) + 1;
}

/* A SYN-ACK leaves. @return what became of it. */
static __always_inline __u32 begun(const struct hf_key *key, __be32 isn, struct hf_config *c)
{
	struct place place = place_of(key, c);
	__u32 generation, told;

	if (!place.birth || (name_at(&place) && place.birth->isn == isn))
		return HF_V_BORN_AGAIN;
	generation = next_generation(c);
	told = within(HF_L_BIRTH, c->births_max) ? TOLD : 0;
	place.birth->isn = isn;
	*(volatile __u64 *)&place.birth->name = (__u64)generation << 32 | place.tag | told;
	if (!told)
		return HF_V_BORN_LIMITED;
	tell(HF_EV_BORN, c->self, generation, key, place.bucket);
	return HF_V_BORN;
}

static __always_inline void established(const struct hf_key *key, struct hf_config *c)
{
	struct place place = place_of(key, c);
	__u64 name = name_at(&place);
	struct hf_own own = { .bucket = place.bucket };

	own.generation = name ? name >> 32 : next_generation(c);
	if (name)
		*(volatile __u64 *)&place.birth->name = 0;
	if (bpf_map_update_elem(&hf_own, key, &own, BPF_ANY)) {
		/* Without it nobody would ever end the ticket. */
		count(HF_C_OWN_FULL);
		if (name & TOLD)
			tell(HF_EV_ENDED, c->self, own.generation, key, place.bucket);
		return;
	}
	tell((name & TOLD ? HF_EV_KEPT : HF_EV_BORN) | 1 << 8, c->self, own.generation, key,
	     place.bucket);
}

static __always_inline void closed(const struct hf_key *key, const struct hf_config *c)
{
	struct hf_own *own = bpf_map_lookup_elem(&hf_own, key);

	if (!own)
		return;
	tell(HF_EV_ENDED | 1 << 8, c->self, own->generation, key, own->bucket);
	bpf_map_delete_elem(&hf_own, key);
}

#endif
