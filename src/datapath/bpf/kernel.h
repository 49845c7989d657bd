/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel structures that are read. Only the members named here matter: libbpf
 * finds their real offsets in the running kernel's BTF when it loads the object (CO-RE).
 */
#ifndef HOLDFAST_KERNEL_H
#define HOLDFAST_KERNEL_H

#include <linux/types.h>

#define CORE __attribute__((preserve_access_index))

struct net {
	__u64 net_cookie;
} CORE;

typedef struct {
	struct net *net;
} CORE possible_net_t;

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
} CORE;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} CORE;

struct sock {
	struct sock_common __sk_common;
} CORE;

struct inet_sock {
	__be16 inet_sport;
} CORE;

struct tcp_request_sock {
	__u32 snt_isn;
} CORE;

/* Reads behind a pointer as if it were of another type. Costs nothing: the verifier does it. */
extern void *bpf_rdonly_cast(const void *at, __u32 type) __ksym;

/* Stable numbers of the kernel's interface. */
#define ETH_HEAD 14
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ICMPV6 58
#define AF_INET 2
#define AF_INET6 10

#define TCP_ESTABLISHED 1
#define TCP_SYN_RECV 3
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

/* TC verdicts; NEXT lets whoever comes after us on the same hook see the packet. */
#define TC_NEXT -1
#define TC_DROP 2

struct ip4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__be32 saddr;
	__be32 daddr;
};
_Static_assert(sizeof(struct ip4) == 20, "");

struct ip6 {
	__be32 version_class_label;
	__be16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	__be32 saddr[4];
	__be32 daddr[4];
};
_Static_assert(sizeof(struct ip6) == 40, "");

struct tcp {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack_seq;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__u16 check;
	__be16 urg_ptr;
};
_Static_assert(sizeof(struct tcp) == 20, "");

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#endif
