/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Network. Addresses are what the kernel is about to use: already copied, before any
 * translation, whatever the network namespace.
 *
 *   socket_create       families and kinds: an allow-list
 *   socket_post_create  stamps UNIX sockets with their maker's list
 *   socket_bind, socket_listen, socket_connect
 *   socket_sendmsg      datagrams with an address, MSG_FASTOPEN, source routes
 *   socket_setsockopt   source routes
 *   sctp_bind_connect   what SCTP does by setsockopt and in sendmsg
 *   unix_stream_connect, unix_may_send
 *                       UNIX sockets whose maker is beyond reach
 *   file_receive        sockets from other processes
 */
#ifndef JAIL_NET_H
#define JAIL_NET_H

#include "core.h"
#include "file.h"

enum {
	SEARCH_STEPS = 20, /* binary search over at most 2^20 entries */
	NODE_DEPTH = 130,  /* prefixes that can enclose one another, v6 */
	CONTROLS = 8,	   /* control messages looked at */
	SUN_PATH_AT = 2,   /* of sun_path in sockaddr_un */
	SHORTEST_IN = 8,   /* bytes of an address that says all, v4 */
	SHORTEST_IN6 = 24, /* v6, without its scope */
};

struct control_message {
	__u64 len;
	__u32 level;
	__u32 type;
};

/* ::ffff:a.b.c.d, as the wire has it. */
static __always_inline int is_mapped(const __u32 *addr)
{
	return !addr[0] && !addr[1] && addr[2] == bpf_htonl(0xffff);
}

/*
 * The searches below step without a branch: the verifier would follow both ways of each.
 * This is what a step skips: `half` where the entry begins at or below what is sought, so
 * that `before` is negative; else 0.
 */
static __always_inline __u32 skipped(__u32 half, __s64 before)
{
	opaque(before); /* here and below, or the compiler makes it a branch */
	before >>= 63;
	opaque(before);
	return half & (__u32)before;
}

/* What a search looks for: a value, of which this is the next one, or the query's address. */
struct sought {
	__s64 end;
	struct query *query;
};

/* Negative where the entry begins at or below what is sought. */
typedef __s64 (*before_fn)(void *entry, const struct sought *sought);

/*
 * The last of `len` entries of `size` bytes that begins at or below what is sought; the
 * first one begins at 0. Once all that are left lie in one page they are searched without
 * looking up more. NULL: unreadable.
 */
static __always_inline void *last_below(void *inner, __u32 at, __u32 len, __u32 size,
					const struct sought *sought, before_fn before)
{
	__u32 left = len * size, half, index; /* bytes */
	struct page *page;
	void *entry;

	for (__u32 i = 0; i < SEARCH_STEPS; i++) {
		if (left < 2 * size || at / PAGE_BYTES == (at + left - 1) / PAGE_BYTES)
			break;
		half = (left / 2) & ~(size - 1);
		entry = table_at(inner, at + half, size);
		if (!entry)
			return NULL;
		left -= half;
		at += skipped(half, before(entry, sought));
	}
	index = at / PAGE_BYTES;
	page = bpf_map_lookup_elem(inner, &index);
	if (!page)
		return NULL;
	for (__u32 i = 0; i < SEARCH_STEPS; i++) {
		if (left < 2 * size)
			break;
		half = (left / 2) & ~(size - 1);
		entry = &page->bytes[(at + half) & (PAGE_BYTES - size)];
		left -= half;
		at += skipped(half, before(entry, sought));
	}
	return &page->bytes[at & (PAGE_BYTES - size)];
}

/* 1: the range begins above the address. Global: verified once. */
__noinline int net_above6(struct net_range6 *range, struct query *q)
{
	if (!range || !q)
		return 1;
	for (int i = 0; i < 4; i++) {
		if (range->first[i] != q->words[i])
			return range->first[i] > q->words[i];
	}
	return 0;
}

static __always_inline __s64 before6(void *range, const struct sought *sought)
{
	return (net_above6(range, sought->query) & 1) - 1;
}

static __always_inline __s64 before4(void *range, const struct sought *sought)
{
	return ((struct net_range4 *)range)->first - sought->end;
}

static __always_inline __s64 before_port(void *range, const struct sought *sought)
{
	return ((struct port_range *)range)->first - sought->end;
}

/* The node of the innermost prefix around the query's v6 address; -1: unreadable. */
__noinline int net_node6(struct policy *p, struct query *q)
{
	struct sought sought = { .query = q };
	struct net_range6 *r;
	void *inner;
	__u32 slot;

	if (!p || !q || !p->net_v6_len)
		return -1;
	if (p->net_v6_len == 1) /* no prefix but ::/0, whose node is the last one */
		return p->net_node_len - 1;
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner)
		return -1;
	r = last_below(inner, p->net_v6_at, p->net_v6_len, sizeof(*r), &sought, before6);
	return r ? (int)r->node : -1;
}

/* The same, v4. */
static __always_inline int net_node4(struct policy *p, struct query *q, void *inner)
{
	struct sought sought = { .end = (__s64)q->words[0] + 1 };
	struct net_range4 *r;

	if (!p->net_v4_len)
		return -1;
	if (p->net_v4_len == 1) /* no prefix but 0.0.0.0/0, whose node is the first one */
		return 0;
	r = last_below(inner, p->net_v4_at, p->net_v4_len, sizeof(*r), &sought, before4);
	return r ? (int)r->node : -1;
}

struct ascend {
	struct policy *policy;
	struct query *query;
	void *inner;
	__u32 node;
	int verdict;
};

/* Ask a node, then the prefix around it, until one has an opinion: enum port_verdict, or
 * -1, and q->rule. */
static __noinline long ascend_one(__u32 i, struct ascend *a)
{
	struct policy *p = a->policy;
	struct query *q = a->query;
	struct sought sought = { .end = (__s64)q->port + 1 };
	struct port_range *r;
	struct net_node *n;
	__u32 list = q->list & (PORT_LISTS - 1);

	n = table_at(a->inner, p->net_node_at + a->node * sizeof(*n), sizeof(*n));
	if (!n) {
		a->verdict = -1;
		return 1;
	}
	if (n->len[list]) {
		r = last_below(a->inner, n->at[list], n->len[list], sizeof(*r), &sought,
			       before_port);
		a->verdict = r ? r->verdict : -1;
		if (r)
			q->rule = r->rule;
		if (a->verdict != PORT_NONE)
			return 1;
	}
	if (n->parent == a->node)
		return 1;
	a->node = n->parent;
	return 0;
}

static __always_inline int same_address(const __u32 *a, const __u32 *b)
{
	return ((const word *)a)[0] == ((const word *)b)[0] &&
	       ((const word *)a)[1] == ((const word *)b)[1];
}

/* Where the subject has what it knows of this address. */
static __always_inline struct allowed *allowed_at(struct subject *s, const struct query *q)
{
	return &s->allowed[(q->words[0] + q->words[3] + q->port + q->member) & (ALLOWED - 1)];
}

/* Verdict for address, port and direction; what no rule matches gets the flag's. */
__noinline int net_verdict(struct subject *s, struct policy *p, struct query *q)
{
	struct ascend a = { .policy = p, .query = q, .verdict = PORT_NONE };
	struct allowed *known;
	__u32 slot;
	int node;

	if (!s || !p || !q)
		return 0;
	if (p->net_node_len) {
		known = allowed_at(s, q);
		if (known->policy == p->id && known->port == q->port && known->list == q->list &&
		    known->family == q->family && same_address(known->addr, q->words)) {
			q->rule = known->rule;
			return 1;
		}
		slot = p->slot;
		a.inner = bpf_map_lookup_elem(&tables, &slot);
		node = -1;
		if (a.inner)
			node = q->family == AF_INET6 ? net_node6(p, q) : net_node4(p, q, a.inner);
		if (node < 0) {
			q->reason = REASON_UNREADABLE;
			return 0;
		}
		a.node = node;
		if (!ascend_one(0, &a))
			bpf_loop(NODE_DEPTH - 1, ascend_one, &a, 0);
		if (a.verdict < 0) {
			q->reason = REASON_UNREADABLE;
			return 0;
		}
		if (a.verdict == PORT_ALLOW) {
			known->policy = p->id;
			__builtin_memcpy(known->addr, q->words, sizeof(known->addr));
			known->port = q->port;
			known->family = q->family;
			known->list = q->list;
			known->rule = q->rule;
			return 1;
		}
		if (a.verdict != PORT_NONE)
			return 0;
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
 * one (or AF_UNSPEC, which dissolves). -1: too short: the kernel refuses it by itself. The
 * address is a copy in the kernel's memory.
 */
static __always_inline int read_address(struct query *q, const struct sock *sk, const void *address,
					int len)
{
	struct sockaddr_in6 *in6 = (void *)address;
	struct sockaddr_in *in = (void *)address;
	__u32 own = sk->__sk_common.skc_family, family, to[4];

	if (own != AF_INET && own != AF_INET6)
		return 0;
	if (len < SHORTEST_IN)
		return -1;
	family = PEEK(in, sin_family);
	q->family = family;
	q->port = bpf_ntohs(PEEK(in, sin_port));
	if (family == AF_INET || (family == AF_UNSPEC && own == AF_INET)) {
		to[0] = PEEK(in, sin_addr.s_addr);
		q->family = AF_INET;
		__builtin_memcpy(q->addr, to, 4);
		q->words[0] = bpf_ntohl(to[0]);
		return 1;
	}
	if (family == AF_INET6) {
		if (len < SHORTEST_IN6)
			return -1;
		if (BPF_CORE_READ_INTO(&to, in6, sin6_addr))
			return -1;
		if (is_mapped(to)) {
			q->family = AF_INET;
			__builtin_memcpy(q->addr, &to[3], 4);
			q->words[0] = bpf_ntohl(to[3]);
			return 1;
		}
		__builtin_memcpy(q->addr, to, 16);
		for (int i = 0; i < 4; i++)
			q->words[i] = bpf_ntohl(to[i]);
		return 1;
	}
	return 0;
}

/*
 * Sending to no address is sending to this machine: to where the socket is bound, or
 * else to loopback. Returns whether it was so.
 */
static __always_inline int resolve_any(struct query *q, const struct sock *sk)
{
	__u32 to = bpf_htonl(INADDR_LOOPBACK);
	struct in6_addr local;

	if (q->words[0])
		return 0;
	if (q->family == AF_INET6) {
		if (q->words[1] | q->words[2] | q->words[3])
			return 0;
		BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
		if (!is_mapped(local.in6_u.u6_addr32)) {
			q->words[3] = 1;
			q->addr[15] = 1;
			return 1;
		}
		q->family = AF_INET;
	} else if (sk->__sk_common.skc_rcv_saddr) {
		to = sk->__sk_common.skc_rcv_saddr;
	}
	q->words[0] = bpf_ntohl(to);
	__builtin_memcpy(q->addr, &to, 4);
	return 1;
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
	return errno_of(flag_decide(s, q, EACCES));
}

/*
 * Does a rule open the local port q->value of q->sock for bind, at its local address?
 * Global, and asked in the query's place: a second query would not fit on the stack.
 */
__noinline int local_verdict(struct subject *s, struct policy *p, struct query *q)
{
	__u32 words[4], family, port, list, rule;
	struct in6_addr local = {};
	struct sock *sk;
	int allowed;

	if (!s || !p || !q)
		return 0;
	sk = (struct sock *)q->sock;
	__builtin_memcpy(words, q->words, sizeof(words));
	family = q->family;
	port = q->port;
	list = q->list;
	rule = q->rule;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6)
		BPF_CORE_READ_INTO(&local, sk, __sk_common.skc_v6_rcv_saddr);
	else
		local.in6_u.u6_addr32[3] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
	q->family = AF_INET6;
	for (int i = 0; i < 4; i++)
		q->words[i] = bpf_ntohl(local.in6_u.u6_addr32[i]);
	if (is_mapped(local.in6_u.u6_addr32) ||
	    BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		q->family = AF_INET;
		q->words[0] = q->words[3];
	}
	q->port = q->value;
	q->list = list == UDP_CONNECT ? UDP_BIND : TCP_BIND;
	allowed = net_verdict(s, p, q);
	if (q->op == OP_SEND && !q->rule)
		allowed = 0;
	__builtin_memcpy(q->words, words, sizeof(words));
	q->family = family;
	q->port = port;
	q->list = list;
	q->rule = rule ?: q->rule;
	return allowed;
}

/*
 * A datagram with an address. Where no rule speaks of the destination, a socket bound
 * to a port (q->value) that a rule opens for bind may answer from it.
 */
static __always_inline int send_verdict(struct subject *s, struct policy *p, struct query *q)
{
	if (net_verdict(s, p, q))
		return 1;
	if (!q->value || q->rule || q->reason != REASON_RULE)
		return 0;
	return local_verdict(s, p, q);
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

/* Global: verified once. */
__noinline int family_decide(struct subject *s, struct query *q)
{
	return s && q ? decide(s, s->depth, q, family_verdict, EACCES) : -EACCES;
}

/* A family other than inet: what the role does not list may not be used, however the
 * socket came about (TCP_ULP turns TCP sockets into others). */
static __always_inline int other_family(struct subject *s, struct query *q, const struct sock *sk)
{
	q->family = sk->__sk_common.skc_family;
	q->protocol = sk->sk_protocol;
	q->value = sk->sk_type;
	return errno_of(family_decide(s, q));
}

/* Families whose sockets have a check of their own. */
static __always_inline int is_internet(const struct sock *sk)
{
	return sk->__sk_common.skc_family == AF_INET || sk->__sk_common.skc_family == AF_INET6;
}

SEC("lsm/socket_create")
int BPF_PROG(net_create, int family, int type, int protocol, int kern, int ret)
{
	struct query q;
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s || kern)
		return 0;
	ask(&q, OP_SOCKET);
	q.family = family;
	q.protocol = protocol;
	q.value = type & SOCK_TYPE_MASK;
	q.access = kind_of(family, type, protocol);
	return errno_of(family_decide(s, &q));
}

SEC("lsm/socket_bind")
int BPF_PROG(net_bind, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	struct query q;
	struct subject *s;
	struct sock *sk;
	__u32 protocol;
	int is;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_BIND);
	sk = sock->sk;
	if (!sk)
		return 0;
	if (!is_internet(sk))
		return other_family(s, &q, sk);
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
	struct query q;
	struct subject *s;
	struct sock *sk;
	__u32 family;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_LISTEN);
	sk = sock->sk;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (!is_internet(sk))
		return other_family(s, &q, sk);
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
	struct query q;
	struct subject *s;
	struct sock *sk;
	__u32 protocol;
	int is;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_CONNECT);
	sk = sock->sk;
	if (!sk)
		return 0;
	/* AF_UNSPEC dissolves an association and reaches nobody. */
	if (addrlen < (int)sizeof(address->sa_family))
		return -EINVAL;
	if (address->sa_family == AF_UNSPEC)
		return 0;
	if (!is_internet(sk))
		return other_family(s, &q, sk);
	is = read_address(&q, sk, address, addrlen);
	if (is <= 0)
		return is < 0 ? -EINVAL : 0;
	resolve_any(&q, sk);
	protocol = protocol_of(sk);
	if (!protocol)
		return net_other(s, &q, sk);
	return net_decide(s, &q, protocol, 0);
}

/* Is this the control message of a source route? It sends packets elsewhere than where
 * they are addressed. */
static __always_inline int routes(__u32 level, __u32 type)
{
	return (level == IPPROTO_IP && type == IP_RETOPTS) ||
	       (level == IPPROTO_IPV6 && (type == IPV6_RTHDR || type == IPV6_2292RTHDR));
}

/* 1: the message has a source route, or more control messages than are looked at. Not
 * inlined: stack is scarce. */
static __noinline int routed(const struct msghdr *msg)
{
	__u64 at = (__u64)msg->msg_control, end = at + msg->msg_controllen;
	struct control_message m;

	for (__u32 i = 0; i < CONTROLS; i++) {
		if (at + sizeof(m) > end)
			return 0;
		if (bpf_probe_read_kernel(&m, sizeof(m), (void *)at))
			return 1;
		if (routes(m.level, m.type))
			return 1;
		if (m.len < sizeof(m) || m.len > end - at)
			return 0; /* the kernel refuses it */
		at += (m.len + 7) & ~7ULL;
	}
	return at + sizeof(m) <= end;
}

/* Not inlined: most messages never come here, and need neither its registers nor its stack. */
static __noinline int judge_message(struct socket *sock, struct msghdr *msg)
{
	struct sock *sk = sock->sk;
	struct subject *s;
	struct query q;
	__u32 protocol;
	int is;

	if (!sk)
		return 0;
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_SEND);
	if (!is_internet(sk)) {
		/* UNIX sockets: unix_may_send. */
		if (sk->__sk_common.skc_family == AF_UNIX || !msg->msg_name)
			return 0;
		return other_family(s, &q, sk);
	}
	protocol = protocol_of(sk);
	if (msg->msg_controllen && routed(msg)) {
		q.access = KIND_RAW;
		return other_family(s, &q, sk);
	}
	/* On a stream an address counts only for MSG_FASTOPEN, which connects. */
	if (!msg->msg_name || (protocol == IPPROTO_TCP && !(msg->msg_flags & MSG_FASTOPEN)))
		return 0;
	is = read_address(&q, sk, msg->msg_name, msg->msg_namelen);
	if (is <= 0)
		return is < 0 ? -EINVAL : 0;
	/* A control message may name the source, which would become the destination. */
	if (resolve_any(&q, sk) && q.family == AF_INET && msg->msg_controllen)
		return refuse_always(s, &q, REASON_BAD_ADDRESS, EACCES);
	if (!protocol)
		return net_other(s, &q, sk);
	if (protocol == IPPROTO_TCP)
		return net_decide(s, &q, protocol, 0);
	q.value = sk->__sk_common.skc_num;
	q.protocol = protocol;
	q.list = UDP_CONNECT;
	q.sock = (__u64)sk;
	return decide(s, s->depth, &q, send_verdict, EACCES);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(net_sendmsg, struct socket *sock, struct msghdr *msg, int size, int ret)
{
	if (ret)
		return earlier(ret);
	/* On a connected socket nothing is left to judge. */
	return msg->msg_name || msg->msg_controllen ? judge_message(sock, msg) : 0;
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(net_setsockopt, struct socket *sock, int level, int option, int ret)
{
	struct query q;
	struct subject *s;
	struct sock *sk;

	if (ret)
		return earlier(ret);
	if (!(level == IPPROTO_IP && option == IP_OPTIONS) &&
	    !(level == IPPROTO_IPV6 && (option == IPV6_RTHDR || option == IPV6_2292PKTOPTIONS)))
		return 0;
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_SOCKOPT);
	q.access = KIND_RAW;
	sk = sock->sk;
	if (!sk || !is_internet(sk))
		return 0;
	return other_family(s, &q, sk);
}

SEC("lsm/sctp_bind_connect")
int BPF_PROG(net_sctp, struct sock *sk, int option, struct sockaddr *address, int len, int ret)
{
	struct query q;
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_CONNECT);
	q.family = sk->__sk_common.skc_family;
	return net_other(s, &q, sk);
}

/* ---- UNIX sockets ---- */

static __always_inline struct owner *owner_of(struct sock *sk)
{
	if (!sk->sk_bpf_storage)
		return NULL;
	return bpf_sk_storage_get(&sockets, sk, 0, 0);
}

/* Without memory the socket stays unstamped, which opens nothing. */
static __noinline int stamp_socket(struct socket *sock)
{
	struct subject *s = current_subject();
	struct owner *o;
	struct sock *sk;

	if (!s)
		return 0;
	sk = sock->sk;
	if (!sk)
		return 0;
	o = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o)
		return 0;
	own(o, s);
	return 0;
}

SEC("lsm/socket_post_create")
int BPF_PROG(net_stamp, struct socket *sock, int family, int type, int protocol, int kern, int ret)
{
	if (ret)
		return earlier(ret);
	return family == AF_UNIX && !kern ? stamp_socket(sock) : 0;
}

/*
 * The automaton of a policy's unix_* or name_* fields, in the place of its own. Only
 * what file_walk() and file_feed() read.
 */
static __always_inline void view_of(struct policy *view, const struct policy *p, __u32 abstract)
{
	__builtin_memset(view, 0, sizeof(*view));
	view->id = p->id;
	view->starts = START_UNIX;
	view->slot = p->slot;
	view->file_states = abstract ? p->name_states : p->unix_states;
	view->file_classes = abstract ? p->name_classes : p->unix_classes;
	view->file_class_at = abstract ? p->name_class_at : p->unix_class_at;
	view->file_next_at = abstract ? p->name_next_at : p->unix_next_at;
	view->file_accept_at = abstract ? p->name_accept_at : p->unix_accept_at;
}

__noinline int socket_name(struct event *e, __u64 sock)
{
	struct unix_sock *unix = (struct unix_sock *)sock;
	struct unix_address *a;
	__u64 name;
	__u32 len;

	if (!e)
		return 0;
	a = BPF_CORE_READ(unix, addr);
	if (!a)
		return 0;
	name = (__u64)a + bpf_core_field_offset(struct unix_address, name) + SUN_PATH_AT;
	len = (__u32)BPF_CORE_READ(a, len) - SUN_PATH_AT;
	opaque(len);
	if (!len || len > SUN_PATH_SIZE)
		return 0;
	if (bpf_probe_read_kernel(e->path, len, (void *)name))
		return 0;
	e->path[0] = '@';
	e->path_len = len;
	return 0;
}

/* The state after an abstract name; -1: it could not be read. Global: verified once. */
__noinline int name_state(struct walk *w, struct policy *view, __u64 address)
{
	struct unix_address *a = (struct unix_address *)address;
	int state = NAME_START;
	__u64 name;
	__u32 len;

	if (!w || !view)
		return -1;
	name = address + bpf_core_field_offset(struct unix_address, name) + SUN_PATH_AT + 1;
	/* Less the family, and the NUL that marks it as abstract. */
	len = (__u32)BPF_CORE_READ(a, len) - SUN_PATH_AT - 1;
	opaque(len);
	if (len >= SUN_PATH_SIZE || bpf_probe_read_kernel(w->text, len, (void *)name))
		return -1;
	for (__u32 from = 0; from < SUN_PATH_SIZE; from += FEED_BYTES) {
		if (from >= len || state < 0)
			break;
		state = file_feed(w, view, from, len, state);
	}
	return state;
}

/* Verdict for the UNIX socket q->sock, whose file is q->leaf; 0: it has an abstract name. */
__noinline int unix_verdict(struct subject *s, struct policy *p, struct query *q)
{
	__u32 slot, *word, states;
	struct unix_address *addr;
	struct unix_sock *unix;
	struct dentry *file;
	struct policy *view;
	void *inner;
	int state;

	if (!s || !p || !q)
		return 0;
	if (p->flags & ALLOW_NETWORK)
		return 1;
	unix = (struct unix_sock *)q->sock; /* locals: q itself must not be relocated */
	addr = BPF_CORE_READ(unix, addr);
	/* Nobody can name it: the other end of a pair, or a client that is answered. */
	if (!addr)
		return q->op == OP_SEND;
	states = q->leaf ? p->unix_states : p->name_states;
	if (!states)
		return 0;
	view = &s->view;
	view_of(view, p, !q->leaf);
	if (q->leaf)
		state = file_state(&s->walk, view, q);
	else
		state = name_state(&s->walk, view, (__u64)addr);
	if (state <= 0) {
		if (q->reason == REASON_RULE)
			q->reason = state ? REASON_UNREADABLE : REASON_NOWHERE;
		return 0;
	}
	slot = p->slot;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner) {
		q->reason = REASON_UNREADABLE;
		return 0;
	}
	word = table_at(inner, view->file_accept_at + state * 4, 4);
	if (!word) {
		q->reason = REASON_UNREADABLE;
		return 0;
	}
	if (*word & UNIX_ALLOW)
		return 1;
	if (*word & UNIX_ALLOW_ROOT) {
		file = (struct dentry *)q->leaf;
		return !BPF_CORE_READ(file, d_inode, i_uid.val);
	}
	return 0;
}

/* Judge the other end of a UNIX socket. */
static __always_inline int unix_decide(struct subject *s, struct query *q, const struct sock *other)
{
	struct unix_sock *unix = (struct unix_sock *)other;

	q->family = AF_UNIX;
	q->sock = (__u64)other;
	q->leaf = (__u64)BPF_CORE_READ(unix, path.dentry);
	return decide(s, s->depth, q, unix_verdict, EACCES);
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(net_unix_connect, struct sock *sock, struct sock *other, struct sock *newsk, int ret)
{
	struct query q;
	struct owner *owner, *copy;
	struct subject *s;

	if (ret)
		return earlier(ret);
	owner = owner_of(other);
	if (owner) {
		/* What the listener will accept is its maker's. */
		copy = bpf_sk_storage_get(&sockets, newsk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (copy)
			*copy = *owner;
	}
	s = current_subject();
	if (!s || made_within(s, owner))
		return 0;
	ask(&q, OP_CONNECT);
	q.value = sock->sk_type;
	return unix_decide(s, &q, other);
}

SEC("lsm/unix_may_send")
int BPF_PROG(net_unix_send, struct socket *sock, struct socket *other, int ret)
{
	struct query q;
	struct subject *s;
	struct sock *to;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	to = other->sk;
	if (!to)
		return 0;
	if (made_within(s, owner_of(to)))
		return 0;
	ask(&q, OP_SEND);
	q.value = to->sk_type;
	return unix_decide(s, &q, to);
}

/* ---- sockets from other processes ---- */

/*
 * An inet socket from elsewhere: of a kind that the role may make, and connected to
 * where it may connect, or bound (q->value) to where it may bind.
 */
__noinline int received_verdict(struct subject *s, struct policy *p, struct query *q)
{
	if (!s || !p || !q)
		return 0;
	if (!family_verdict(s, p, q))
		return 0;
	if (!q->port && !q->value)
		return 1;
	if (q->protocol != IPPROTO_TCP && q->protocol != IPPROTO_UDP)
		return (p->flags & ALLOW_NETWORK) != 0;
	if (q->port && net_verdict(s, p, q))
		return 1;
	return q->value && local_verdict(s, p, q);
}

/* A socket from another process. */
static __always_inline int net_received(struct subject *s, struct query *q, struct file *file)
{
	struct inode *inode = file->f_inode;
	struct socket *sock;
	struct sock *sk;
	__u32 protocol;

	if ((inode->i_mode & S_IFMT) != S_IFSOCK || inode->i_sb->s_magic != SOCKFS_MAGIC)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk || made_within(s, owner_of(sk)))
		return 0;
	q->family = sk->__sk_common.skc_family;
	q->sock = (__u64)sk;
	if (q->family == AF_UNIX) {
		const struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);

		/* Neither bound nor connected it reaches nobody. */
		if (!peer && !BPF_CORE_READ((struct unix_sock *)sk, addr))
			return 0;
		return unix_decide(s, q, peer ?: sk);
	}
	protocol = sk->sk_protocol;
	q->access = kind_of(q->family, sk->sk_type, protocol);
	if (!is_internet(sk)) {
		q->protocol = protocol;
		return errno_of(family_decide(s, q));
	}
	q->protocol = protocol_of(sk) ?: protocol;
	q->port = bpf_ntohs(sk->__sk_common.skc_dport);
	q->value = sk->__sk_common.skc_num;
	q->list = q->protocol == IPPROTO_UDP ? UDP_CONNECT : TCP_CONNECT;
	if (q->family == AF_INET) {
		__u32 to = sk->__sk_common.skc_daddr;

		__builtin_memcpy(q->addr, &to, 4);
		q->words[0] = bpf_ntohl(to);
	} else {
		struct in6_addr to;

		BPF_CORE_READ_INTO(&to, sk, __sk_common.skc_v6_daddr);
		__builtin_memcpy(q->addr, &to, 16);
		if (is_mapped(to.in6_u.u6_addr32)) {
			q->family = AF_INET;
			__builtin_memcpy(q->addr, &to.in6_u.u6_addr32[3], 4);
			q->words[0] = bpf_ntohl(to.in6_u.u6_addr32[3]);
		} else {
			for (int i = 0; i < 4; i++)
				q->words[i] = bpf_ntohl(to.in6_u.u6_addr32[i]);
		}
	}
	return decide(s, s->depth, q, received_verdict, EACCES);
}

SEC("lsm/file_receive")
int BPF_PROG(file_receive, struct file *file, int ret)
{
	struct dentry *dentry;
	struct subject *s;
	struct nature n;
	struct query q;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_RECEIVE);
	dentry = file->f_path.dentry;
	n = nature_of(dentry);
	if (!n.pathless)
		return errno_of(file_received(s, &q, file, dentry, &n));
	return net_received(s, &q, file);
}

#endif
