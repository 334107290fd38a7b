/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Network. Addresses are what the kernel is about to use: already copied, before any
 * translation, whatever the network namespace.
 *
 *   socket_create   families and kinds: an allow-list
 *   socket_bind, socket_listen, socket_connect
 *   socket_sendmsg  datagrams with an address, MSG_FASTOPEN
 */
#ifndef JAIL_NET_H
#define JAIL_NET_H

#include "core.h"
#include "file.h"

enum {
	SEARCH_STEPS = 20, /* binary search over at most 2^20 entries */
	NODE_DEPTH = 130,  /* prefixes that can enclose one another, v6 */
};

/* Wire formats, copied from the kernel's memory. */
struct address4 {
	__u16 family;
	__u16 port;
	__u32 addr;
};

struct address6 {
	__u16 family;
	__u16 port;
	__u32 flowinfo;
	__u32 addr[4];
};

/* -1, 0, 1: as range->first is below, equal to or above the address. */
static __always_inline int compare6(const struct net_range6 *range, const __u32 *addr)
{
	for (int i = 0; i < 4; i++) {
		if (range->first[i] != addr[i])
			return range->first[i] < addr[i] ? -1 : 1;
	}
	return 0;
}

/* The node of the innermost prefix around the query's address; -1: unreadable. */
__noinline int net_node_of(struct policy *p, struct query *q)
{
	__u32 slot, low = 0, high;
	int node = -1, v6;
	void *inner;

	if (!p || !q)
		return -1;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner)
		return -1;
	v6 = q->family == AF_INET6;
	high = v6 ? p->net_v6_len : p->net_v4_len;
	for (__u32 i = 0; i < SEARCH_STEPS; i++) {
		__u32 middle = (low + high) / 2;

		if (low >= high)
			break;
		if (v6) {
			struct net_range6 *r =
				table_at(inner, p->net_v6_at + middle * sizeof(*r), sizeof(*r));

			if (!r)
				return -1;
			if (compare6(r, q->words) > 0) {
				high = middle;
				continue;
			}
			node = r->node;
		} else {
			struct net_range4 *r =
				table_at(inner, p->net_v4_at + middle * sizeof(*r), sizeof(*r));

			if (!r)
				return -1;
			if (r->first > q->words[0]) {
				high = middle;
				continue;
			}
			node = r->node;
		}
		low = middle + 1;
	}
	return node;
}

/* One node's opinion of the query's port: enum port_verdict, or -1; sets q->rule. */
__noinline int net_ports(struct policy *p, struct query *q, __u32 at, __u32 len)
{
	__u32 slot, low = 0, high = len;
	int verdict = PORT_NONE;
	void *inner;

	if (!p || !q)
		return -1;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner)
		return -1;
	for (__u32 i = 0; i < SEARCH_STEPS; i++) {
		__u32 middle = (low + high) / 2;
		struct port_range *r;

		if (low >= high)
			break;
		r = table_at(inner, at + middle * sizeof(*r), sizeof(*r));
		if (!r)
			return -1;
		if (r->first > q->port) {
			high = middle;
			continue;
		}
		verdict = r->verdict;
		q->rule = r->rule;
		low = middle + 1;
	}
	return verdict;
}

struct ascend {
	struct policy *policy;
	struct query *query;
	void *inner;
	__u32 node;
	int verdict;
};

/* Ask a node, then the prefix around it, until one has an opinion. */
static long ascend_one(__u32 i, struct ascend *a)
{
	struct policy *p = a->policy;
	struct net_node *n;
	__u32 list = a->query->list & (PORT_LISTS - 1);

	n = table_at(a->inner, p->net_node_at + a->node * sizeof(*n), sizeof(*n));
	if (!n) {
		a->verdict = -1;
		return 1;
	}
	if (n->len[list]) {
		a->verdict = net_ports(p, a->query, n->at[list], n->len[list]);
		if (a->verdict != PORT_NONE)
			return 1;
	}
	if (n->parent == a->node)
		return 1;
	a->node = n->parent;
	return 0;
}

/* Verdict for address, port and direction; what no rule matches gets the flag's. */
__noinline int net_verdict(struct subject *s, struct policy *p, struct query *q)
{
	struct ascend a = { .policy = p, .query = q, .verdict = PORT_NONE };
	__u32 slot;
	int node;

	if (!s || !p || !q)
		return 0;
	slot = p->slot;
	if (p->net_node_len) {
		node = net_node_of(p, q);
		a.inner = bpf_map_lookup_elem(&tables, &slot);
		if (node < 0 || !a.inner) {
			q->reason = REASON_UNREADABLE;
			return 0;
		}
		a.node = node;
		bpf_loop(NODE_DEPTH, ascend_one, &a, 0);
		if (a.verdict < 0) {
			q->reason = REASON_UNREADABLE;
			return 0;
		}
		if (a.verdict != PORT_NONE)
			return a.verdict == PORT_ALLOW;
		q->rule = 0;
	}
	return (p->flags & ALLOW_NETWORK) != 0;
}

/* TCP (MPTCP included), UDP, or 0: neither, and the family check decided at creation. */
static __always_inline __u32 protocol_of(const struct sock *sk)
{
	__u32 protocol = sk->sk_protocol;

	if (protocol == IPPROTO_MPTCP || protocol == IPPROTO_TCP)
		return IPPROTO_TCP;
	if (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)
		return IPPROTO_UDP;
	return 0;
}

/*
 * Read a socket address into the query. 1: an internet address, to be judged. 0: not
 * one (or AF_UNSPEC, which dissolves). -1: too short: the kernel refuses it by itself.
 */
static __always_inline int read_address(struct query *q, const struct sock *sk, const void *address,
					int len)
{
	__u32 own = sk->__sk_common.skc_family;
	struct address4 in4;

	if (own != AF_INET && own != AF_INET6)
		return 0;
	if (len < (int)sizeof(in4) || bpf_probe_read_kernel(&in4, sizeof(in4), address))
		return -1;
	q->family = in4.family;
	q->port = bpf_ntohs(in4.port);
	if (in4.family == AF_INET || (in4.family == AF_UNSPEC && own == AF_INET)) {
		q->family = AF_INET;
		__builtin_memcpy(q->addr, &in4.addr, 4);
		q->words[0] = bpf_ntohl(in4.addr);
		return 1;
	}
	if (in4.family == AF_INET6) {
		struct address6 in6;

		if (len < (int)sizeof(in6) || bpf_probe_read_kernel(&in6, sizeof(in6), address))
			return -1;
		if (!in6.addr[0] && !in6.addr[1] && in6.addr[2] == bpf_htonl(0xffff)) {
			q->family = AF_INET;
			__builtin_memcpy(q->addr, &in6.addr[3], 4);
			q->words[0] = bpf_ntohl(in6.addr[3]);
			return 1;
		}
		__builtin_memcpy(q->addr, in6.addr, 16);
		for (int i = 0; i < 4; i++)
			q->words[i] = bpf_ntohl(in6.addr[i]);
		return 1;
	}
	return 0;
}

static __always_inline int net_decide(struct subject *s, struct query *q, __u32 protocol,
				      __u32 bind)
{
	q->protocol = protocol;
	q->list = (protocol == IPPROTO_UDP ? UDP_BIND : TCP_BIND) + !bind;
	return decide(s, s->depth, q, net_verdict, EACCES);
}

/* Other inet protocols (SCTP, ICMP, raw...) carry no port rule: the flag decides. */
static __always_inline int net_other(struct subject *s, struct query *q, const struct sock *sk)
{
	q->protocol = sk->sk_protocol;
	q->access = ALLOW_NETWORK;
	return decide(s, s->depth, q, flag_verdict, EACCES);
}

/*
 * A datagram with an address. Where no rule speaks of the destination, a socket bound
 * to a port (q->value) that a rule opens for bind may answer from it.
 */
__noinline int send_verdict(struct subject *s, struct policy *p, struct query *q)
{
	struct query own = { .list = UDP_BIND };

	if (!s || !p || !q)
		return 0;
	if (net_verdict(s, p, q))
		return 1;
	if (!q->value || q->rule || q->reason != REASON_RULE)
		return 0;
	own.family = q->family;
	own.port = q->value;
	return net_verdict(s, p, &own) && own.rule;
}

/* Which kind of inet or netlink socket, as a bit of enum socket_kind; 0: ordinary. */
static __always_inline __u32 kind_of(int family, int type, int protocol)
{
	type &= SOCK_TYPE_MASK;
	if (family == AF_NETLINK)
		return protocol == NETLINK_ROUTE ? 0 : KIND_NETLINK;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	if (type == SOCK_RAW)
		return KIND_RAW;
	switch (protocol) {
	case IPPROTO_IP:
		return type == SOCK_STREAM || type == SOCK_DGRAM ? 0 : KIND_OTHER;
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
	case IPPROTO_UDP:
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return KIND_ICMP;
	case IPPROTO_SCTP:
		return KIND_SCTP;
	case IPPROTO_DCCP:
		return KIND_DCCP;
	case IPPROTO_UDPLITE:
		return KIND_UDPLITE;
	}
	return KIND_OTHER;
}

static __always_inline int family_verdict(struct subject *s, struct policy *p, struct query *q)
{
	if (q->family < 64 && (p->families & (1ULL << q->family)) &&
	    (p->kinds & q->access) == q->access)
		return 1;
	q->reason = REASON_FAMILY;
	return 0;
}

SEC("lsm/socket_create")
int BPF_PROG(net_create, int family, int type, int protocol, int kern, int ret)
{
	struct query q = { .op = OP_SOCKET, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s || kern)
		return 0;
	q.family = family;
	q.protocol = protocol;
	q.value = type & SOCK_TYPE_MASK;
	q.access = kind_of(family, type, protocol);
	return decide(s, s->depth, &q, family_verdict, EACCES);
}

SEC("lsm/socket_bind")
int BPF_PROG(net_bind, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct query q = { .op = OP_BIND, .granted = ROLE_DEPTH };
	struct subject *s;
	struct sock *sk;
	__u32 protocol;
	int is;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	is = read_address(&q, sk, address, addrlen);
	if (is <= 0)
		return is < 0 ? -EINVAL : 0;
	protocol = protocol_of(sk);
	if (!protocol)
		return net_other(s, &q, sk);
	return net_decide(s, &q, protocol, 1);
}

SEC("lsm/socket_listen")
int BPF_PROG(net_listen, struct socket *sock, int backlog, int ret)
{
	struct query q = { .op = OP_LISTEN, .granted = ROLE_DEPTH };
	struct subject *s;
	struct sock *sk;
	__u32 family;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	/* A bound port was judged by bind; listening unbound takes an ephemeral one. */
	if (sk->__sk_common.skc_num)
		return 0;
	q.family = family;
	if (protocol_of(sk) != IPPROTO_TCP)
		return net_other(s, &q, sk);
	return net_decide(s, &q, IPPROTO_TCP, 1);
}

SEC("lsm/socket_connect")
int BPF_PROG(net_connect, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct query q = { .op = OP_CONNECT, .granted = ROLE_DEPTH };
	struct subject *s;
	struct sock *sk;
	__u32 protocol;
	__u16 family;
	int is;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	/* AF_UNSPEC dissolves an association and reaches nobody. */
	if (addrlen < (int)sizeof(family) ||
	    bpf_probe_read_kernel(&family, sizeof(family), address))
		return -EINVAL;
	if (family == AF_UNSPEC)
		return 0;
	is = read_address(&q, sk, address, addrlen);
	if (is <= 0)
		return is < 0 ? -EINVAL : 0;
	protocol = protocol_of(sk);
	if (!protocol)
		return net_other(s, &q, sk);
	return net_decide(s, &q, protocol, 0);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(net_sendmsg, struct socket *sock, struct msghdr *msg, int size, int ret)
{
	struct query q = { .op = OP_SEND, .granted = ROLE_DEPTH };
	struct subject *s;
	struct sock *sk;
	__u32 protocol;
	int is;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s || !msg->msg_name)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	protocol = protocol_of(sk);
	/* On a stream an address counts only for MSG_FASTOPEN, which connects. */
	if (protocol == IPPROTO_TCP && !(msg->msg_flags & MSG_FASTOPEN))
		return 0;
	is = read_address(&q, sk, msg->msg_name, msg->msg_namelen);
	if (is <= 0)
		return is < 0 ? -EINVAL : 0;
	if (!protocol)
		return net_other(s, &q, sk);
	if (protocol == IPPROTO_TCP)
		return net_decide(s, &q, protocol, 0);
	q.value = sk->__sk_common.skc_num;
	q.protocol = protocol;
	q.list = UDP_CONNECT;
	return decide(s, s->depth, &q, send_verdict, EACCES);
}

#endif
