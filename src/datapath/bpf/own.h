/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections of this node, as the kernel tells of their sockets. */
#ifndef HOLDFAST_OWN_H
#define HOLDFAST_OWN_H

#include <bpf/bpf_core_read.h>

#include "kernel.h"
#include "maps.h"
#include "parse.h"

/* The tracepoint's socket may be read as it is; only what lies behind `struct sock` needs a helper. */
static __always_inline int key_of(struct sock *sk, struct hf_key *key)
{
	const struct sock_common *s = &sk->__sk_common;
	__u16 family = s->skc_family;

	if (family == AF_INET) {
		mapped(key->client, s->skc_daddr);
		mapped(key->vip, s->skc_rcv_saddr);
	} else if (family == AF_INET6) {
		/* Also right for IPv4 on an IPv6 socket: the kernel keeps the mapped form here. */
		BPF_CORE_READ_INTO(&key->client, s, skc_v6_daddr);
		BPF_CORE_READ_INTO(&key->vip, s, skc_v6_rcv_saddr);
	} else {
		return -1;
	}
	key->client_port = s->skc_dport;
	/* At CLOSE the kernel has already given skc_num back. */
	key->vip_port = BPF_CORE_READ((struct inet_sock *)sk, inet_sport);
	return 0;
}

static __always_inline void established(const struct hf_key *key, struct hf_config *c)
{
	struct hf_birth *birth = bpf_map_lookup_elem(&hf_births, key);
	struct hf_own own = {};
	__u32 told = 0;

	own.bucket = bucket_of(key, c->hash_seed);
	if (birth) {
		own.generation = birth->generation;
		told = birth->told;
		bpf_map_delete_elem(&hf_births, key);
	} else {
		own.generation = __sync_fetch_and_add(&c->generation, 1) + 1;
	}
	if (bpf_map_update_elem(&hf_own, key, &own, BPF_ANY)) {
		/* Without it nobody would ever end the ticket. */
		count(HF_C_OWN_FULL);
		if (told)
			tell(HF_EV_ENDED, c->self, own.generation, key, c);
		return;
	}
	tell((told ? HF_EV_KEPT : HF_EV_BORN) | 1 << 8, c->self, own.generation, key, c);
}

#endif
