/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, and the small questions that only one map answers. */
#ifndef HOLDFAST_MAPS_H
#define HOLDFAST_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

/* Sizes of the hash maps are set by the loader before it loads; those here are for the tests. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hf_config);
} hf_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct hf_vip);
	__type(value, __u32);
} hf_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HF_NODES_MAX);
	__type(key, __u32);
	__type(value, struct hf_node);
} hf_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HF_NODES_MAX);
	__type(key, struct hf_address);
	__type(value, __u32); /* slot */
} hf_members SEC(".maps");

/* By slot. Every processor's packets teach and use it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HF_NODES_MAX);
	__type(key, __u32);
	__type(value, struct hf_hop);
} hf_hops SEC(".maps");

/* Two tables: one in force, one being written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct hf_homes);
} hf_homes SEC(".maps");

/* Flows of other nodes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct hf_key);
	__type(value, struct hf_ticket);
} hf_tickets SEC(".maps");

/*
 * Handshakes of ours. A flood of them overwrites others' places, which costs those one event more when
 * they are completed; it evicts no ticket. Nothing is locked, compared, evicted or deleted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HF_BIRTHS);
	__type(key, __u32);
	__type(value, struct hf_birth);
} hf_births SEC(".maps");

/*
 * Established flows of ours. Never evicts: it is what a restarted agent publishes again. Allocated at
 * once, because the allocator would round an entry of 104 bytes up to 128.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct hf_key);
	__type(value, struct hf_own);
} hf_own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hf_key);
	__type(value, struct hf_miss);
} hf_misses SEC(".maps");

enum hf_limit { HF_L_FIND, HF_L_SEARCH, HF_L_BIRTH, HF_LIMITS };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HF_LIMITS);
	__type(key, __u32);
	__type(value, struct hf_window);
} hf_windows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HF_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} hf_verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HF_WAYS);
	__type(key, __u32);
	__type(value, __u64);
} hf_ways SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HF_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} hf_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} hf_events SEC(".maps");

static __always_inline struct hf_config *config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hf_config, &zero);
}

static __always_inline struct hf_node *node(__u32 slot)
{
	return bpf_map_lookup_elem(&hf_nodes, &slot);
}

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&hf_counts, &which);

	if (n)
		(*n)++;
}

static __always_inline int is_vip(const struct hf_config *c, const __be32 *address, __be16 port)
{
	struct hf_vip vip = {};

	/* Asked of every packet, and most nodes have no other: comparing spares the map's hash. */
	if (port == c->vip.port && address[3] == c->vip.address[3] &&
	    address[2] == c->vip.address[2] && address[1] == c->vip.address[1] &&
	    address[0] == c->vip.address[0])
		return 1;

	__builtin_memcpy(vip.address, address, 16);
	vip.port = port;
	return bpf_map_lookup_elem(&hf_vips, &vip) != 0;
}

/*
 * Windows of 2^24 ns (17 ms) per CPU: short, so that a flood that used one up starves others only
 * until the next begins; per CPU, so that no counter is shared.
 */
static __always_inline int within(__u32 limit, __u32 most)
{
	struct hf_window *window = bpf_map_lookup_elem(&hf_windows, &limit);
	__u64 number = bpf_ktime_get_ns() >> 24;

	if (!window)
		return 0;
	if (window->number != number) {
		window->number = number;
		window->count = 0;
	}
	if (window->count >= most)
		return 0;
	window->count++;
	return 1;
}

/*
 * MurmurHash3 (Appleby, public domain) over the nine words, as keyHash in src/proto/ticket-key.ts. The
 * seed is secret to the cluster, so a client cannot aim its ports at one home.
 */
static __always_inline __u32 hash_of(const struct hf_key *key, __u32 seed)
{
	const __u32 *word = (const __u32 *)key;
	__u32 h = seed;

#pragma unroll
	for (int i = 0; i < 9; i++) {
		__u32 k = word[i] * 0xcc9e2d51;

		k = (k << 15) | (k >> 17);
		h ^= k * 0x1b873593;
		h = (h << 13) | (h >> 19);
		h = h * 5 + 0xe6546b64;
	}
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return h;
}

/* The bucket of a flow, the same on every node. */
static __always_inline __u32 bucket_of(const struct hf_key *key, __u32 seed)
{
	return hash_of(key, seed) & (HF_BUCKETS - 1);
}

/* `what` is a kind, and a detail in its second byte. */
static __noinline void tell(__u32 what, __u32 slot, __u32 generation, const struct hf_key *key,
			    __u32 bucket)
{
	/* The agent polls: waking it for each record would cost more than the record. */
	struct hf_event *event = bpf_ringbuf_reserve(&hf_events, sizeof(*event), 0);

	if (!event) {
		count(HF_C_EVENTS_LOST);
		return;
	}
	event->kind = what;
	event->detail = what >> 8;
	event->slot = slot;
	event->bucket = bucket;
	event->zero = 0;
	event->generation = generation;
	__builtin_memcpy(&event->key, key, sizeof(*key));
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#endif
