/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and the TypeScript side both read and write. Every struct has its size
 * asserted here, and test/datapath/layout.test.ts compares every member with src/datapath/layout.ts
 * by way of the compiled object's BTF. A change here is a new HF_LAYOUT.
 */
#ifndef HOLDFAST_LAYOUT_H
#define HOLDFAST_LAYOUT_H

#include <linux/types.h>

/** Raised by every change of a map's key, value, or meaning. Names the directory of the pins. */
#define HF_LAYOUT 3

#define HF_NODES_MAX 1024
#define HF_BUCKETS 65536
#define HF_HOMES 3
#define HF_NO_SLOT 0xffff
#define HF_BIRTHS 65536 /* handshakes under way that are remembered */
#define HF_COOKIE_BITS 22

/** Addresses are IPv6, IPv4 as ::ffff:a.b.c.d; everything in network byte order. */
struct hf_key {
	__be32 client[4];
	__be32 vip[4];
	__be16 client_port;
	__be16 vip_port;
};
_Static_assert(sizeof(struct hf_key) == 36, "also the tuple of an IPv6 socket lookup");

/** An address served here. Port 0 stands for the address itself (fragments). */
struct hf_vip {
	__be32 address[4];
	__be16 port;
	__u16 zero;
};
_Static_assert(sizeof(struct hf_vip) == 20, "key of a hash map: no padding");

struct hf_config {
	__u64 netns_cookie;   /* sockets of other namespaces are not ours */
	__u32 boot;           /* made when the maps were made; names one life of the sockets */
	__u32 generation;     /* of the flow ticket born last */
	__u32 tunnel_ifindex;
	__u32 cookie;         /* HF_COOKIE_BITS, the same on all nodes */
	__u32 hash_seed;      /* the same on all nodes */
	__u32 homes_table;    /* which of the two tables of homes is in force: 0 or 1 */
	__u32 grace_ms;       /* an unknown flow is dropped, not reset, for this long */
	__u32 forget_ms;      /* a first miss older than this belongs to an older flow */
	__u32 finds_max;      /* FIND packets per window and CPU */
	__u32 searches_max;   /* search events per window and CPU */
	__u32 births_max;     /* half-open tickets told per window and CPU */
	__u16 mss4;           /* segments of clients are at most this long; 0 leaves them alone */
	__u16 mss6;
	__be16 tunnel_port;
	__u16 self;           /* slot of this node */
	__u8 underlay6;       /* the tunnel runs on IPv6 */
	__u8 shared_uplink;   /* members' tunnel packets may arrive on the uplink */
	__u8 tunnel_mac[6];   /* of every node's tunnel device */
	__u8 inner_mac[6];    /* source within the tunnel; differs from tunnel_mac */
	__u16 source_min;     /* source ports of the tunnel begin here */
	__u16 source_span;    /* and are so many, as the tunnel device chooses them; 0: not known */
	__u8 zero[2];
	struct hf_vip vip;    /* one of the VIPs, the only one of most nodes */
	__u8 rest[4];
};
_Static_assert(sizeof(struct hf_config) == 104, "");

enum hf_state {
	HF_EMPTY = 0,
	HF_ALIVE = 1,
	HF_SUSPECT = 2, /* keeps what it owns, is not asked as a home */
	HF_DEAD = 3,    /* what it owned is void */
	HF_SELF = 4,
};

struct hf_node {
	__be32 address[4]; /* underlay */
	__u32 boot;
	__u8 state;
	__u8 zero[11];
};
_Static_assert(sizeof(struct hf_node) == 32, "");

/**
 * How packets of the tunnel device to a node were last seen to leave: the frame's head, so that we can
 * send as it does without it. `until_ns` is written last and read first.
 */
struct hf_hop {
	__u64 until_ns;  /* on the coarse clock; older ones are forgotten */
	__u32 ifindex;
	__u16 bytes_max; /* longest IP packet seen to leave in one piece */
	__u8 dscp;       /* in its place in the header's second byte, ECN bits clear */
	__u8 ttl;
	__u8 macs[12];   /* destination, source */
	__u32 zero;
};
_Static_assert(sizeof(struct hf_hop) == 32, "");

/** Key of the map of members: the outer source of a tunnel packet. */
struct hf_address {
	__be32 word[4];
};
_Static_assert(sizeof(struct hf_address) == 16, "");

struct hf_homes {
	__u16 slot[HF_BUCKETS][HF_HOMES];
};
_Static_assert(sizeof(struct hf_homes) == 393216, "");

enum hf_ticket_flag {
	HF_SEEN = 1, /* this entry has told of the switch */
};

/** Another node's flow. */
struct hf_ticket {
	__u16 owner;
	__u8 flags;
	__u8 source; /* who told us, for the event: enum of the TypeScript side, not read here */
	__u32 boot;
	__u32 told_ms;    /* when the entry below was last told of this ticket */
	__u16 told_entry;
	__u16 zero;
};
_Static_assert(sizeof(struct hf_ticket) == 16, "");

/**
 * A SYN-ACK of ours whose handshake is under way, in the place that the flow's hash says. The last to
 * come has the place. Name and generation are written as one word: whoever reads them needs no lock.
 */
struct hf_birth {
	__u64 name; /* generation, 31 bits of another hash of the flow, and whether its event went out */
	__be32 isn; /* to know a SYN-ACK that is sent again */
	__u32 zero;
};
_Static_assert(sizeof(struct hf_birth) == 16, "");

/** A flow of ours with an established socket. */
struct hf_own {
	__u32 generation;
	__u16 bucket;
	__u16 zero;
};
_Static_assert(sizeof(struct hf_own) == 8, "");

struct hf_miss {
	__u64 first_ns;
	__u32 seq; /* of the packet; another flow on the same ports has quite another */
	__u32 zero;
};
_Static_assert(sizeof(struct hf_miss) == 16, "");

struct hf_window {
	__u64 number;
	__u64 count;
};
_Static_assert(sizeof(struct hf_window) == 16, "");

enum hf_event_kind {
	HF_EV_BORN = 1,     /* a flow ticket of ours, half-open or whole (detail: 1 when whole) */
	HF_EV_KEPT = 2,     /* its handshake was completed */
	HF_EV_ENDED = 3,    /* its socket closed */
	HF_EV_SEARCH = 4,   /* nobody here knows the flow; slot does not own it */
	HF_EV_SWITCHED = 5, /* first packet relayed to slot by a ticket (detail: its source) */
	HF_EV_FOUND = 6,    /* as home, answered the entry in slot (detail unused) */
	HF_EV_REFUSED = 7,  /* slot does not hold the flow that our ticket said it holds */
};

struct hf_event {
	__u8 kind;
	__u8 detail;
	__u16 slot;
	__u16 bucket;
	__u16 zero;
	__u32 generation;
	struct hf_key key;
};
_Static_assert(sizeof(struct hf_event) == 48, "");

enum hf_who {
	HF_HERE = 1,    /* the local stack */
	HF_THERE = 2,   /* the node in slot */
	HF_ASK = 3,     /* the home in slot knows */
	HF_UNKNOWN = 4, /* this node is the home and does not know */
	HF_LOST = 5,    /* known, and its owner is gone */
};

enum hf_how {
	HF_BY_NOTHING = 0,
	HF_BY_SOCKET = 1,
	HF_BY_COOKIE = 2,
	HF_BY_WEAK = 3,
	HF_BY_TICKET = 4,
	HF_BY_HOME = 5,
};

struct hf_answer {
	__u8 who;
	__u8 how;
	__u16 slot;
	__u16 bucket;
	__u8 socket; /* TCP state of what the lookup found; 0 for nothing */
	__u8 zero;
};
_Static_assert(sizeof(struct hf_answer) == 8, "");

/** What hf_trace writes behind the key it was given. */
struct hf_trace {
	struct hf_answer answer;
	__u32 own_generation;   /* 0: no established flow of ours */
	__u32 birth_generation; /* 0: no half-open flow of ours */
	__u32 ticket_boot;
	__u16 ticket_owner; /* HF_NO_SLOT: no ticket */
	__u16 ticket_source;
	__u16 home[HF_HOMES];
	__u16 zero;
	__u32 missing_ms; /* since the first miss; 0: none */
};
_Static_assert(sizeof(struct hf_trace) == 36, "");

/* Each packet ends in exactly one of these. src/datapath/verdicts.ts names and explains them. */
enum hf_verdict {
	/* uplink, towards us */
	HF_V_OTHER = 0,
	HF_V_FRAGMENT,
	HF_V_SYN,
	HF_V_SOCKET,
	HF_V_COOKIE,
	HF_V_WEAK,
	HF_V_OWN_TICKET,
	HF_V_RELAY_TICKET,
	HF_V_FIND,
	HF_V_FIND_LIMITED,
	HF_V_OWNER_LOST,
	HF_V_FOREIGN_TUNNEL,
	HF_V_MEMBER_TUNNEL,
	/* uplink and tunnel */
	HF_V_SEARCH,
	HF_V_SEARCH_LIMITED,
	HF_V_GRACE,
	HF_V_UNKNOWN,
	HF_V_UNKNOWN_SILENT,
	HF_V_UNSENT,
	/* tunnel */
	HF_V_DELIVERED,
	HF_V_FOUND_HERE,
	HF_V_FOUND_THERE,
	HF_V_FOUND_LOST,
	HF_V_REJECT_FIND,
	HF_V_REJECT_DELIVER,
	HF_V_FIND_AGAIN,
	HF_V_BAD_COOKIE,
	HF_V_BAD_SENDER,
	HF_V_BAD_INNER,
	/* uplink, away from us */
	HF_V_AWAY,
	HF_V_BORN,
	HF_V_BORN_AGAIN,
	HF_V_BORN_LIMITED,
	/* underlay or uplink, away from us */
	HF_V_TUNNEL_AWAY,
	HF_V_TUNNEL_SEEN,
	HF_VERDICTS,
};

/* How a packet got into the tunnel. */
enum hf_way {
	HF_W_DEVICE = 0, /* the tunnel device wrapped it */
	HF_W_DIRECT,     /* we did, and sent it as the device's packets leave */
	HF_WAYS,
};

/* Other counts. */
enum hf_count {
	HF_C_EVENTS_LOST = 0,
	HF_C_OWN_FULL,
	HF_COUNTS,
};

#endif
