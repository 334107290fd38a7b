/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Events: what is told of a verdict, how often, and where it is kept. Nothing here
 * costs anything while operations are allowed.
 *
 * A denial is written into its place in the denials map and into the ring buffer, at the
 * same time where it has no path. The same denial again, by the same task, is only counted; the
 * count is told once a second, at the next other denial, and at the task's end. Beyond a limit per
 * domain and second denials are counted and not told.
 */
#ifndef JAIL_EVENT_H
#define JAIL_EVENT_H

enum {
	SECOND = 1000000000,
	EVENT_HEAD = __builtin_offsetof(struct event, path),
	EXEC_PATH = 256,
	/* What was refused, and why: alike in query, event and latest, to be copied and
	 * compared by words. */
	MATTER = __builtin_offsetof(struct query, addr) + 16,
};

typedef __u64 __attribute__((may_alias)) word;

#define matter_at(type, field) (__builtin_offsetof(type, field) - __builtin_offsetof(type, port))
#define same_matter(field)                                                                         \
	_Static_assert(matter_at(struct query, field) == matter_at(struct event, field) &&         \
			       matter_at(struct query, field) ==                                   \
				       matter_at(struct latest, field) &&                          \
			       !__builtin_offsetof(struct query, port) &&                          \
			       !__builtin_offsetof(struct latest, port),                           \
		       #field)
same_matter(value);
same_matter(op);
same_matter(access);
same_matter(reason);
same_matter(rule);
same_matter(error);
same_matter(permissive);
same_matter(family);
same_matter(protocol);
same_matter(addr);

/* Writes the path of dentry `leaf` into the event; `located`: the walk holds it. In file.h. */
int file_path(struct walk *w, struct event *e, __u64 leaf, __u32 located);

/* Writes the abstract name of a UNIX socket into the event, after an @. In net.h. */
int socket_name(struct event *e, __u64 sock);

/* What the query is about, for telling a denial from another. */
static __always_inline __u64 subject_matter(const struct query *q)
{
	if (q->leaf)
		return q->leaf;
	return q->family == AF_UNIX ? q->sock : 0;
}

static __always_inline struct limit *limit_at(__u64 id)
{
	__u32 place = id & (LIMITS - 1);

	return bpf_map_lookup_elem(&limits, &place);
}

/* The domain's limit, or NULL: there is no such domain. */
static __always_inline struct limit *limit_of(__u64 id)
{
	struct limit *l = limit_at(id);
	struct domain *d;

	if (l && l->domain == id)
		return l;
	d = bpf_map_lookup_elem(&domains, &id);
	return d ? &d->limit : NULL;
}

/* Place 0 is taken: of what belongs to no domain, such as refused enrollments. */
static __always_inline void take_limit(__u64 id)
{
	struct limit *l = limit_at(id);

	if (l && (id & (LIMITS - 1)))
		__sync_val_compare_and_swap(&l->domain, 0, id);
}

static __always_inline void forget_limit(__u64 id)
{
	struct limit *l = limit_at(id);

	if (!l || l->domain != id)
		return;
	l->window = 0;
	l->suppressed = 0;
	l->domain = 0;
}

/* May this domain report one more? Counts it. `other`: not a denial. */
static __always_inline int within_limit(__u64 id, __u64 now, __u32 other, __u32 *suppressed)
{
	struct limit *l = limit_of(id);

	*suppressed = 0;
	if (!l)
		return 0;
	if (now - l->window > SECOND) {
		l->window = now;
		l->reported[0] = 0;
		l->reported[1] = 0;
	}
	if (other)
		return __sync_fetch_and_add(&l->reported[1], 1) < OTHER_LIMIT;
	if (__sync_fetch_and_add(&l->reported[0], 1) >= DENIAL_LIMIT) {
		__sync_fetch_and_add(&l->suppressed, 1);
		return 0;
	}
	if (l->suppressed)
		*suppressed = __sync_lock_test_and_set(&l->suppressed, 0);
	return 1;
}

/* Denials of a domain that can no longer be told one by one. */
static __always_inline void add_suppressed(__u64 id, __u32 number)
{
	struct limit *l = limit_of(id);

	if (l)
		__sync_fetch_and_add(&l->suppressed, number);
}

/* Into the ring buffer, from the denials map. */
static __always_inline void send(struct event *e)
{
	__u32 len = e->path_len;

	opaque(len);
	if (len > PATH_SIZE)
		len = PATH_SIZE;
	if (bpf_ringbuf_output(&events, e, EVENT_HEAD + ((len + 7) & ~7U), 0))
		count(COUNT_LOST);
}

static __always_inline struct event *denial_at(__u64 number)
{
	__u32 place = number & (DENIALS - 1);
	struct event *e = bpf_map_lookup_elem(&denials, &place);

	return e && e->number == number ? e : NULL;
}

/* Tell how often the subject's latest denial came again. Global: verified once. */
__noinline int repeats_ended(struct subject *s)
{
	struct latest *l;
	struct event *e;

	if (!s)
		return 0;
	l = &s->latest;
	e = denial_at(l->number);
	if (e) {
		e->repeats += l->repeats;
		send(e);
	} else {
		add_suppressed(l->domain, l->repeats);
	}
	l->repeats = 0;
	return 0;
}

static __always_inline void tell_repeats(struct subject *s)
{
	if (s->latest.repeats)
		repeats_ended(s);
}

static __always_inline int same_as_latest(const struct latest *l, const struct query *q,
					  const struct member *m, __u64 matter)
{
	const word *a = (const word *)l, *b = (const word *)q;

	if (!l->number || l->leaf != matter)
		return 0;
	for (__u32 i = 0; i < MATTER / sizeof(word); i++) {
		if (a[i] != b[i])
			return 0;
	}
	return l->role == m->role && l->domain == m->domain;
}

/* Who does it: the calling thread. */
static __always_inline void sign(struct event *e)
{
	struct task_struct *t = bpf_get_current_task_btf();
	const word *comm = (const word *)t->comm;
	word *to = (word *)e->comm;

	e->pid = t->tgid;
	e->tid = t->pid;
	e->uid = uid_of(t);
	to[0] = comm[0];
	to[1] = comm[1];
}

/* What is broken or cannot be told, not what a rule or the jail's own defaults close. */
static __always_inline int is_fault(__u32 reason)
{
	return reason != REASON_RULE && reason != REASON_FAMILY && reason != REASON_REACH &&
	       reason != REASON_ENROLL && reason != REASON_NO_GAIN && reason != REASON_GUARD &&
	       reason != REASON_SEALED;
}

/* Two fields of 32 bits that follow each other, as one word. */
static __always_inline word both(__u32 first, __u32 second)
{
	return first | (word)second << 32;
}

#define word_of(e, field) (*(word *)&(e)->field)
#define followed_by(field, next)                                                                   \
	_Static_assert(__builtin_offsetof(struct event, field) + 4 ==                              \
			       __builtin_offsetof(struct event, next),                             \
		       #field)
_Static_assert(__builtin_offsetof(struct latest, repeats) + 4 ==
		       __builtin_offsetof(struct latest, role),
	       "role");
followed_by(kind, role);
followed_by(pid, tid);
followed_by(uid, repeats);
followed_by(suppressed, device);
followed_by(path_len, path_cut);

/*
 * A denial, but for its path, into two places at once (no copy: one), and into the subject's
 * latest: what is in a register need not be read again. The caller wrote the number, which
 * says that it is not whole, and the user.
 */
static __always_inline void describe(struct event *e, struct event *copy, struct subject *s,
				     const struct query *q, const struct member *m, __u64 policy,
				     struct task_struct *t, __u64 now, __u64 number, __u64 matter,
				     __u32 suppressed)
{
	const word *from = (const word *)q;
	word *to, *and_to, *latest, role = both(0, m->role);
	__u64 domain = m->domain;
	int one = !copy;

	opaque(e); /* or they are read from the stack for each store */
	if (one)
		copy = e;
	else
		opaque(copy);
	to = (word *)&e->port;
	latest = and_to = (word *)&copy->port;
	if (s)
		latest = (word *)&s->latest;
	e->time = copy->time = now;
	e->pod = copy->pod = m->pod;
	e->domain = copy->domain = domain;
	e->policy = copy->policy = policy;
	for (__u32 i = 0; i < MATTER / sizeof(word); i++)
		to[i] = and_to[i] = latest[i] = from[i];
	word_of(e, kind) = word_of(copy, kind) = EVENT_DENIAL | role;
	word_of(e, pid) = word_of(copy, pid) = both(t->tgid, t->pid);
	if (!one)
		word_of(copy, uid) = word_of(e, uid);
	word_of(e, suppressed) = word_of(copy, suppressed) = both(suppressed, 0);
	word_of(e, path_len) = word_of(copy, path_len) = 0;
	word_of(e, comm) = word_of(copy, comm) = word_of(t, comm);
	word_of(e, comm[8]) = word_of(copy, comm[8]) = word_of(t, comm[8]);
	if (s) {
		struct latest *l = &s->latest;

		l->leaf = matter;
		l->domain = domain;
		l->number = number;
		l->told = now;
		word_of(l, repeats) = role;
	}
}

/* Count a denial, and report it. Global: verified once. s is NULL for a task that is no
 * subject yet. */
__noinline int refused(struct subject *s, struct query *q, struct member *m, __u64 policy)
{
	__u32 place, suppressed;
	struct task_struct *t;
	struct event *e;
	struct tally *n;
	__u64 now, number, matter;

	if (!q || !m)
		return 0;
	count(q->permissive ? COUNT_WOULD_DENY : COUNT_DENIED);
	if (is_fault(q->reason))
		count(COUNT_FAULT);
	if (q->quiet || silent)
		return 0;
	now = bpf_ktime_get_boot_ns();
	matter = subject_matter(q);
	if (s && same_as_latest(&s->latest, q, m, matter)) {
		count(COUNT_REPEATED);
		s->latest.repeats++;
		if (now - s->latest.told > SECOND) {
			s->latest.told = now;
			tell_repeats(s);
		}
		return 0;
	}
	if (s)
		tell_repeats(s);
	if (!within_limit(m->domain, now, 0, &suppressed)) {
		count(COUNT_SUPPRESSED);
		if (s)
			s->latest.number = 0;
		return 0;
	}
	t = bpf_get_current_task_btf();
	n = get_tally();
	if (!n)
		return 0;
	number = __sync_fetch_and_add(&n->denials, 1) + 1;
	place = number & (DENIALS - 1);
	e = bpf_map_lookup_elem(&denials, &place);
	if (!e)
		return 0;
	*(volatile __u64 *)&e->number = 0;	     /* not whole */
	word_of(e, uid) = both(t->cred->uid.val, 0); /* not below: see UNTYPED() */
	/* A file, or a UNIX socket: its name is found out where there is room for it. */
	if (!matter) {
		struct event *record = bpf_ringbuf_reserve(&events, EVENT_HEAD, 0);

		if (record) {
			describe(e, record, s, q, m, policy, t, now, number, 0, suppressed);
			record->number = number;
			e->number = number;
			bpf_ringbuf_submit(record, 0);
			return 0;
		}
		count(COUNT_LOST);
	}
	describe(e, NULL, s, q, m, policy, t, now, number, matter, suppressed);
	if (!matter) {
		e->number = number;
		return 0;
	}
	if (!q->leaf)
		socket_name(e, q->sock);
	else if (s)
		file_path(&s->walk, e, q->leaf, q->located);
	e->number = number;
	send(e);
	return 0;
}

/* An event that is no denial, with room for a short path; NULL: lost. */
static __always_inline struct event *lifecycle(__u32 kind)
{
	struct event *e = bpf_ringbuf_reserve(&events, EVENT_HEAD + EXEC_PATH, 0);

	if (!e) {
		count(COUNT_LOST);
		return NULL;
	}
	__builtin_memset(e, 0, EVENT_HEAD);
	e->kind = kind;
	e->time = bpf_ktime_get_boot_ns();
	sign(e);
	return e;
}

/* An exec inside a jail, or the one that entered it. */
static __always_inline void report_exec(struct subject *s, struct linux_binprm *bprm, __u32 kind)
{
	__u32 last = (s->depth - 1) & (ROLE_DEPTH - 1), none;
	const struct member *m = &s->list[last];
	struct event *e;
	long len;

	if (!within_limit(m->domain, bpf_ktime_get_boot_ns(), 1, &none))
		return;
	e = lifecycle(kind);
	if (!e)
		return;
	e->op = kind == EVENT_EXEC ? OP_EXEC : OP_ENROLL;
	e->pod = m->pod;
	e->domain = m->domain;
	e->role = m->role;
	e->value = s->depth;
	len = bpf_probe_read_kernel_str(e->path, EXEC_PATH, bprm->filename);
	if (len > 0)
		e->path_len = len - 1;
	bpf_ringbuf_submit(e, 0);
}

/* `last`: the label is free again; else only one of its domains ended. Whoever freed the
 * last task is no part of it. */
static __always_inline void report_pod_end(__u64 pod, __u64 domain, __u32 uid, __u32 suppressed,
					   __u32 last)
{
	struct event *e = lifecycle(EVENT_POD_END);

	if (!e)
		return;
	e->pod = pod;
	e->domain = domain;
	e->pid = 0;
	e->tid = 0;
	e->uid = uid;
	__builtin_memset(e->comm, 0, sizeof(e->comm));
	e->suppressed = suppressed;
	e->value = last;
	bpf_ringbuf_submit(e, 0);
}

struct told {
	__u32 kind;
	__u32 value;
};

/* Run by the loader to write its own doings into the ring buffer. */
SEC("syscall")
int tell(struct told *told)
{
	struct event *e = lifecycle(told->kind);

	if (!e)
		return 1;
	e->value = told->value;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

#endif
