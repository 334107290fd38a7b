/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How a task becomes a subject, stays one, and what is kept of it.
 *
 *   task_prctl             arms the calling thread
 *   bprm_creds_for_exec    stages the armed roles and, from 6.15 on, the mark's
 *   bprm_committed_creds   (in ways.h) flips the stage, consumes the arming
 *   task_alloc             children and threads inherit, or are not born
 *   task_free              counts the live tasks of a domain
 */
#ifndef JAIL_ENROLL_H
#define JAIL_ENROLL_H

#include "core.h"

/*
 * One domain more, or less, that entered this ad-hoc role, where it is one that came after a
 * seal: `admit_role` ends it when there is none. Counted before anything is judged by the role.
 * Global: verified once.
 */
__noinline int room_count(__u32 role, int n)
{
	struct role *r;
	struct room *room;
	__u32 *slot, at;

	if (role < ADHOC_ROLE)
		return 0;
	slot = bpf_map_lookup_elem(&role_slots, &role);
	if (!slot)
		return 0;
	at = *slot;
	r = bpf_map_lookup_elem(&roles, &at);
	if (!r)
		return 0;
	at = r->policy_slot;
	room = bpf_map_lookup_elem(&rooms, &at);
	if (!room || room->role != role)
		return 0;
	return __sync_fetch_and_add(&room->domains, n);
}

/* The same for all roles that were entered in a domain. */
__noinline int rooms_count(struct domain *d, __u64 id, int n)
{
	if (!d)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i < d->depth && d->list[i].domain == id)
			room_count(d->list[i].role, n);
	}
	return 0;
}

/* One task more in a domain. Returns 0 when the domain is already dead. */
static __always_inline int domain_get(__u64 id)
{
	struct domain *d = bpf_map_lookup_elem(&domains, &id);

	return d && __sync_fetch_and_add(&d->live, 1) > 0;
}

/* One task less; the last one takes the domain and, with its last domain, the pod along.
 * Global, as the others here: verified once. */
__noinline int domain_put(__u64 id)
{
	struct domain *d = bpf_map_lookup_elem(&domains, &id);
	__u32 uid, suppressed = 0;
	struct limit *limit;
	struct pod *pod;
	__u64 label;
	int last;

	if (!d || __sync_fetch_and_add(&d->live, -1) != 1)
		return 0;
	label = d->pod;
	uid = d->uid;
	limit = limit_of(id);
	if (limit)
		suppressed = limit->suppressed;
	forget_limit(id);
	rooms_count(d, id, -1);
	bpf_map_delete_elem(&domains, &id);
	pod = bpf_map_lookup_elem(&pods, &label);
	last = pod && __sync_fetch_and_add(&pod->live, -1) == 1;
	if (last)
		bpf_map_delete_elem(&pods, &label);
	if (last || suppressed)
		report_pod_end(label, id, uid, suppressed, last);
	return 0;
}

/* Does list[0..n) name this domain before entry n? Each task counts once per domain. */
static __always_inline int named_before(const struct subject *s, __u32 n)
{
	return n > 0 && s->list[(n - 1) & (ROLE_DEPTH - 1)].domain == s->list[n].domain;
}

/*
 * Writing above list[0..depth) needs the claim: the task's own exec and an enrollment
 * from outside (stamp.h, ways.h) may come at the same time. Returns 0 when it is taken.
 */
static __always_inline int hold(struct subject *s)
{
	return __sync_val_compare_and_swap(&s->claimed, 0, 1) == 0;
}

static __always_inline void release(struct subject *s)
{
	s->claimed = 0;
}

/* Take back an exec that was staged and did not happen. Under the claim. */
__noinline int unstage(struct subject *s)
{
	__u32 staged;

	if (!s || !s->staged)
		return 0;
	staged = s->staged;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i < s->depth || i >= staged || named_before(s, i))
			continue;
		domain_put(s->list[i].domain);
	}
	s->staged = 0;
	return 0;
}

/* The claim for an enrollment from outside: not while an exec is under way, whose entries
 * are there. What an exec that failed left is taken back. */
static __always_inline int claim(struct task_struct *t, struct subject *s)
{
	if (!hold(s))
		return 0;
	if (!s->staged)
		return 1;
	if (!BPF_CORE_READ_BITFIELD_PROBED(t, in_execve)) {
		unstage(s);
		return 1;
	}
	release(s);
	return 0;
}

/* The list has that role in that domain below n. Global: verified once. */
__noinline int has_member(struct subject *s, __u32 n, __u64 domain, __u32 role)
{
	if (!s)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= n)
			break;
		if (s->list[i].domain == domain && s->list[i].role == role)
			return 1;
	}
	return 0;
}

/* Add the member i of the first thread's list to what a task has, before what an exec staged:
 * it holds at once, and whether or not that exec comes to an end. 0: there is no room.
 * Global: verified once. */
__noinline int take_member(struct subject *s, struct subject *first, __u32 i)
{
	struct member *m;
	__u32 at, end;

	if (!s || !first || i >= ROLE_DEPTH)
		return 0;
	m = &first->list[i];
	at = s->depth;
	end = s->staged ? s->staged : at;
	if (!(m->flags & MEMBER_WHOLE) || has_member(s, end, m->domain, m->role))
		return 1;
	opaque(at);
	if (at >= ROLE_DEPTH || end >= ROLE_DEPTH)
		return 0;
	for (__u32 j = ROLE_DEPTH - 1; j > 0; j--) {
		if (j > at && j <= end)
			s->list[j] = s->list[j - 1];
	}
	s->list[at] = *m;
	if (!named_before(s, at))
		domain_get(m->domain);
	if (s->staged)
		s->staged = end + 1;
	s->depth = at + 1;
	return 1;
}

/* Take over what of the first thread's list is of the whole process. 0: there is no room.
 * Under the claim. Global: verified once. */
__noinline int take_over(struct subject *s, struct subject *first)
{
	__u32 depth;

	if (!s || !first)
		return 0;
	depth = first->depth;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= depth)
			break;
		if (!take_member(s, first, i))
			return 0;
	}
	s->flags |= first->flags;
	s->staged_flags |= first->flags;
	return 1;
}

/* The entry of the process's first thread. In a program that may sleep the verifier wants to
 * see what keeps that thread from going, where it looks. */
static __always_inline struct subject *entry_of_first(struct task_struct *t)
{
	struct subject *first;

	if (bpf_rcu_read_lock)
		bpf_rcu_read_lock();
	first = entry_of(t->group_leader);
	if (bpf_rcu_read_unlock)
		bpf_rcu_read_unlock();
	return first;
}

/*
 * A process that is moved into a listed control group: its first thread has the new list at
 * once, where memory for one thread is to be had and for many is not. Every other gets it
 * here, in its next hook, before that judges anything.
 */
__noinline int catch_up(void)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct control *c = get_control();
	__u32 now = moves_now(c); /* before the list: it is counted when the list is there */
	struct subject *s, *first = NULL;
	int got;

	if (!acting_by(c))
		return CAUGHT_NONE;
	if (first_has_storage(t)) /* first, and so once for the verifier: see UNTYPED() */
		first = entry_of_first(t);
	s = entry_of(t);
	if ((s && is_unknown(s)) || (first && is_unknown(first)))
		return CAUGHT_NOT;
	opaque(s); /* or "is it NULL" becomes a flag, which the verifier does not tie to s */
	if (!is_whole(first)) {
		if (s)
			s->moves = now;
		return CAUGHT_NONE;
	}
	if (!s)
		s = bpf_task_storage_get(&subjects, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s) {
		count(COUNT_NO_STORAGE);
		return CAUGHT_NOT;
	}
	if (!hold(s))
		return CAUGHT_NOT;
	got = take_over(s, first);
	if (got)
		s->moves = now;
	release(s);
	return got ? CAUGHT_ALL : CAUGHT_NOT;
}

/* The founder's list is the same: same roles, same domains below. */
__noinline int same_list(struct domain *d, struct subject *s, __u32 base, struct pending *p)
{
	__u32 depth;

	if (!d || !s || !p)
		return 0;
	depth = base + p->count;
	if (d->depth != depth)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= depth)
			break;
		if (i < base) {
			if (d->list[i].domain != s->list[i].domain ||
			    d->list[i].role != s->list[i].role)
				return 0;
		} else if (d->list[i].role != p->roles[(i - base) & (ROLE_DEPTH - 1)]) {
			return 0;
		}
	}
	return 1;
}

/* Root of the initial user namespace: real uid 0 and CAP_SYS_ADMIN. */
static __always_inline int is_root(struct task_struct *t)
{
	struct cred *cred = (struct cred *)UNTYPED(t, cred);
	struct user_namespace *ns = PEEK(cred, user_ns);
	__u64 caps = 0;

	if (PEEK(cred, uid.val) != 0 || PEEK(cred, euid.val) != 0 || PEEK(ns, level) != 0)
		return 0;
	bpf_probe_read_kernel(&caps, sizeof(caps),
			      __builtin_preserve_access_index(&cred->cap_permitted));
	return (caps >> CAP_SYS_ADMIN) & 1;
}

/* Does the arming name an ad-hoc role? Those live as long as a domain lists them. */
static __always_inline int names_adhoc(const struct pending *p)
{
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i < p->count && p->roles[i] >= ADHOC_ROLE)
			return 1;
	}
	return 0;
}

/* The list that a new domain's founder will have. */
__noinline int draft_list(struct subject *s, __u32 base, struct pending *p, __u64 id, __u64 label)
{
	struct domain *fresh;

	if (!s || !p)
		return 0;
	fresh = &p->draft;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= fresh->depth)
			break;
		if (i < base) {
			fresh->list[i] = s->list[i];
			continue;
		}
		fresh->list[i].domain = id;
		fresh->list[i].pod = label;
		fresh->list[i].role = p->roles[(i - base) & (ROLE_DEPTH - 1)];
	}
	return 0;
}

/*
 * The domain that an enrollment enters: the pod's own for the same user with the same
 * list, or for root outside any jail; else a new one. 0, or an enum refusal.
 */
static __always_inline __u32 enter_domain(struct subject *s, __u32 base, struct pending *p,
					  __u64 *id, __u64 *label)
{
	struct tally *n = get_tally();
	struct domain *fresh = &p->draft;
	struct pod held = {};
	struct domain *d;
	struct pod *pod;

	if (!n)
		return REFUSED_MEMORY;
	if (p->pod) {
		__u64 wanted = p->pod;
		int outside = p->trust && !base;

		pod = bpf_map_lookup_elem(&pods, &wanted);
		if (pod && pod->live > 0) {
			__u64 newest = pod->domain;

			if (pod->uid != p->uid && !outside && p->trust != TRUST_WORD)
				return REFUSED_POD;
			d = bpf_map_lookup_elem(&domains, &newest);
			if (d &&
			    ((outside && !names_adhoc(p)) ||
			     (d->uid == p->uid && same_list(d, s, base, p))) &&
			    __sync_fetch_and_add(&d->live, 1) > 0) {
				*id = newest;
				*label = wanted;
				return REFUSED_NOT;
			}
		}
	}
	*id = __sync_fetch_and_add(&n->domains, 1) + 1;
	*label = p->pod ? p->pod : (1ULL << 32 | *id);
	__builtin_memset(fresh, 0, sizeof(*fresh));
	fresh->pod = *label;
	fresh->uid = p->uid;
	fresh->live = 1;
	fresh->depth = base + p->count;
	draft_list(s, base, p, *id, *label);
	rooms_count(fresh, *id, 1);
	if (bpf_map_update_elem(&domains, id, fresh, BPF_NOEXIST)) {
		rooms_count(fresh, *id, -1);
		return REFUSED_FULL;
	}
	take_limit(*id);
	pod = bpf_map_lookup_elem(&pods, label);
	if (pod && __sync_fetch_and_add(&pod->live, 1) > 0) {
		pod->domain = *id;
		return REFUSED_NOT;
	}
	held.domain = *id;
	held.uid = p->uid;
	held.live = 1;
	if (bpf_map_update_elem(&pods, label, &held, BPF_ANY)) {
		forget_limit(*id);
		rooms_count(fresh, *id, -1);
		bpf_map_delete_elem(&domains, id);
		return REFUSED_FULL;
	}
	return REFUSED_NOT;
}

/* Look the armed roles up and write them at list[base]. 0, or an enum refusal. */
__noinline int write_roles(struct subject *s, __u32 base, struct pending *p)
{
	if (!s || !p)
		return REFUSED_MEMORY;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		__u32 id, *slot;
		__u32 at = base + i;

		opaque(at);
		if (i >= p->count || at >= ROLE_DEPTH)
			break;
		id = p->roles[i];
		slot = bpf_map_lookup_elem(&role_slots, &id);
		if (!slot)
			return REFUSED_ROLE;
		s->list[at].role = id;
		s->list[at].slot = *slot;
		/* Twice: no reload waits for a program that may sleep. */
		if (!policy_of(&s->list[at]) && !policy_of(&s->list[at]))
			return REFUSED_ROLE;
	}
	return REFUSED_NOT;
}

/* Give what write_roles() wrote its domain. */
__noinline int write_domain(struct subject *s, __u32 base, struct pending *p, __u64 domain,
			    __u64 label)
{
	if (!s || !p)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		__u32 at = base + i;

		opaque(at);
		if (i >= p->count || at >= ROLE_DEPTH)
			break;
		s->list[at].domain = domain;
		s->list[at].pod = label;
		s->list[at].flags = p->member_flags;
		s->list[at].pad = 0;
	}
	return 0;
}

/* Write the roles, in their domain, at list[base]: nothing holds yet. 0, or an enum refusal. */
static __always_inline __u32 place(struct subject *s, __u32 base, struct pending *p)
{
	__u64 domain = 0, label = 0;
	__u32 why;

	if (base + p->count > ROLE_DEPTH)
		return REFUSED_DEPTH;
	why = write_roles(s, base, p);
	if (!why)
		why = enter_domain(s, base, p, &domain, &label);
	if (!why)
		write_domain(s, base, p, domain, label);
	return why;
}

/*
 * Add roles behind those that the list has and those that the exec under way staged
 * before: to the stage, or, with MEMBER_FRESH, from outside, under the claim, and at
 * once. 0, or an enum refusal. Not global: before 6.2 only what is known to be a map's value can be
 * put into another map.
 */
static __noinline int add_roles(struct subject *s, struct pending *p)
{
	struct control *c = get_control();
	int fresh, held;
	__u32 base, why;

	if (!c || !c->door)
		return REFUSED_DOOR;
	if (!s || !p)
		return REFUSED_MEMORY;
	fresh = p->member_flags & MEMBER_FRESH;
	base = s->staged;
	/* What the task's own exec staged keeps everybody else from writing. */
	held = fresh || base;
	if (!held && !hold(s))
		return REFUSED_BUSY;
	if (!base)
		base = s->depth;
	opaque(base);
	why = base < ROLE_DEPTH ? place(s, base, p) : REFUSED_DEPTH;
	if (!why && fresh) {
		s->depth = base + p->count;
	} else if (!why) {
		s->staged_flags = (held ? s->staged_flags : s->flags) | p->flags;
		s->staged = base + p->count;
	}
	if (!held)
		release(s);
	return why;
}

enum {
	GROUPS = 65536, /* the kernel's own limit */
	ARM_TRIES = 4,	/* reloads that may come in between */
};

struct group_search {
	__u64 policy_id;
	const void *gids;
	__u32 count;
	int found;
};

static long search_group(__u32 i, struct group_search *g)
{
	struct entrant key = { .policy_id = g->policy_id, .kind = ENTRANT_GROUP };

	if (i >= g->count || bpf_probe_read_kernel(&key.id, sizeof(key.id), g->gids + 4ULL * i))
		return 1;
	if (!bpf_map_lookup_elem(&entrants, &key))
		return 0;
	g->found = 1;
	return 1;
}

/* The role is open to who has these credentials (their address): by real uid, real gid or
 * one of the groups. */
__noinline int may_enter(struct policy *policy, __u64 credentials)
{
	const struct cred *cred = (const struct cred *)credentials;
	struct entrant key = { .kind = ENTRANT_USER };
	const struct group_info *groups;
	struct group_search g = {};

	if (!policy)
		return 0;
	if (policy->flags & OPEN_TO_ALL)
		return 1;
	key.policy_id = policy->id;
	g.policy_id = policy->id;
	key.id = BPF_CORE_READ(cred, uid.val);
	if (bpf_map_lookup_elem(&entrants, &key))
		return 1;
	key.kind = ENTRANT_GROUP;
	key.id = BPF_CORE_READ(cred, gid.val);
	if (bpf_map_lookup_elem(&entrants, &key))
		return 1;
	groups = BPF_CORE_READ(cred, group_info);
	if (!groups)
		return 0;
	g.count = BPF_CORE_READ(groups, ngroups);
	g.gids = __builtin_preserve_access_index(&groups->gid);
	bpf_loop(GROUPS, search_group, &g, 0);
	return g.found;
}

/*
 * may_enter() for a role, in a program that may sleep: a reload waits for the others only, and
 * could free the policy that this looks at, and fill its place. Policy ids are not used
 * twice: the answer counts if the role still has the policy that was asked.
 */
static __always_inline __u32 may_arm(const struct member *m, struct task_struct *t)
{
	__u32 why = REFUSED_ROLE;

	for (__u32 i = 0; i < ARM_TRIES; i++) {
		struct policy *policy = policy_of(m);
		__u64 asked;
		int may;

		if (!policy)
			continue;
		why = REFUSED_BUSY;
		asked = policy->id;
		may = is_root(t) || may_enter(policy, (__u64)BPF_CORE_READ(t, cred));
		policy = policy_of(m);
		if (policy && policy->id == asked)
			return may ? REFUSED_NOT : REFUSED_USER;
	}
	return why;
}

/* The answers of the private prctl; see enum prctl. */
static __always_inline int arm(struct pending *p, __u32 id)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct control *c = get_control();
	struct member m = { .role = id };
	__u32 *slot, why;

	if (!c || !c->door)
		return REFUSED_DOOR;
	slot = bpf_map_lookup_elem(&role_slots, &id);
	if (!slot)
		return REFUSED_ROLE;
	m.slot = *slot;
	why = may_arm(&m, t);
	if (why)
		return why;
	if (!is_root(t)) {
		if (!(t->atomic_flags & (1UL << PFA_NO_NEW_PRIVS)))
			return REFUSED_NEW_PRIVS;
		p->flags |= SUBJECT_NO_GAIN;
	}
	if (p->count >= ROLE_DEPTH)
		return REFUSED_DEPTH;
	p->roles[p->count & (ROLE_DEPTH - 1)] = id;
	p->count++;
	return REFUSED_NOT;
}

/* Tell of an enrollment that was refused; the task need not be a subject. Global: its own
 * stack, verified once. */
__noinline int tell_refused(__u32 why, __u32 role, __u64 pod)
{
	struct query q = { .op = OP_ENROLL, .granted = ROLE_DEPTH };
	struct member nobody = { .role = role, .pod = pod };

	q.value = why;
	q.reason = REASON_ENROLL;
	return refuse(NULL, &q, &nobody, NULL, EPERM);
}

static __always_inline int refuse_enroll(__u32 why, __u32 role, __u64 pod)
{
	tell_refused(why, role, pod);
	return -EPERM; /* the verifier does not know what a global function returns */
}

/* Another file as the process's program: its code is mapped without asking again. Global:
 * its stack is not under that of what follows in the hook. */
__noinline int exe_allowed(__u32 option, __u32 op)
{
	struct query q = { .op = OP_CAPABLE,
			   .value = CAP_CHECKPOINT_RESTORE,
			   .granted = ROLE_DEPTH };
	struct subject *s;

	if (option != PR_SET_MM || (op != PR_SET_MM_EXE_FILE && op != PR_SET_MM_MAP))
		return 1;
	s = current_subject();
	return !s || !decide(s, s->depth, &q, capability_verdict, EPERM);
}

SEC("lsm.s/task_prctl")
int BPF_PROG(enroll_prctl, int option, unsigned long op, unsigned long value, unsigned long arg4,
	     unsigned long arg5, int ret)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pending *p;
	struct subject *s;
	__u32 why;

	/* By its file our own program is known. */
	if (option == PR_SET_MM && (op == PR_SET_MM_EXE_FILE || op == PR_SET_MM_MAP) && sealed()) {
		refuse_sealed_op(OP_CAPABLE, CAP_CHECKPOINT_RESTORE);
		return -EPERM;
	}
	if (!exe_allowed(option, op))
		return -EPERM;
	/* -ENOSYS is the hook's "no opinion" */
	if (option != PRCTL_JAIL || !acting())
		return earlier(ret);
	if (op == PRCTL_MOUNTS) {
		struct control *c = get_control();

		return -(PRCTL_OK +
			 (c && is_root(t) && !own_subject() && mounts_now(c) != c->mounts));
	}
	if (op == PRCTL_DEPTH) {
		s = own_subject();
		return -(PRCTL_OK + (s ? (int)(s->depth & 15) : 0));
	}
	p = bpf_task_storage_get(&pending_enrollments, t, 0,
				 op == PRCTL_ARM || op == PRCTL_POD || op == PRCTL_PERMISSIVE
					 ? BPF_LOCAL_STORAGE_GET_F_CREATE
					 : 0);
	switch (op) {
	case PRCTL_ARM:
		if (!p)
			return -(PRCTL_REFUSED + REFUSED_MEMORY);
		why = arm(p, value);
		if (why)
			refuse_enroll(why, value, p->pod);
		return why ? -(int)(PRCTL_REFUSED + (why & 31)) : -PRCTL_OK;
	case PRCTL_POD:
		if (!p)
			return -(PRCTL_REFUSED + REFUSED_MEMORY);
		p->pod = value;
		return -PRCTL_OK;
	case PRCTL_PERMISSIVE:
		if (!p)
			return -(PRCTL_REFUSED + REFUSED_MEMORY);
		p->member_flags |= MEMBER_PERMISSIVE;
		return -PRCTL_OK;
	case PRCTL_CLEAR:
		if (p)
			bpf_task_storage_delete(&pending_enrollments, t);
		s = entry_of(t);
		if (s && !is_unknown(s) && hold(s)) {
			unstage(s);
			release(s);
		}
		return -PRCTL_OK;
	case PRCTL_COUNT:
		return -(PRCTL_OK + (p ? (int)(p->count & 15) : 0));
	case PRCTL_REASON:
		return -(int)(PRCTL_REFUSED + (p ? p->reason & 31 : 0));
	}
	return -EINVAL;
}

/* Stage what the calling thread armed, at the start of an exec. */
static __always_inline int stage_armed(struct task_struct *t)
{
	struct control *c = NULL;
	struct pending *p;
	struct subject *s;

	s = UNTYPED(t, bpf_storage) ? entry_of(t) : NULL;
	if (s && is_unknown(s))
		return -EAGAIN;
	if (s && s->staged) {
		if (!hold(s))
			return refuse_enroll(REFUSED_BUSY, s->list[0].role, s->list[0].pod);
		unstage(s);
		release(s);
	}
	s = own_entry(t, &c);
	if (s && is_unknown(s))
		return -EAGAIN;
	if (!UNTYPED(t, bpf_storage))
		return 0;
	p = bpf_task_storage_get(&pending_enrollments, t, 0, 0);
	if (!p && find_entry(t, id_of(&pending_enrollments)))
		return -EAGAIN;
	if (!p || !p->count)
		return 0;
	p->uid = uid_of(t);
	p->trust = is_root(t) ? TRUST_ROOT : TRUST_NONE;
	s = bpf_task_storage_get(&subjects, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	p->reason = s ? add_roles(s, p) : REFUSED_MEMORY;
	if (!p->reason)
		return 0;
	return refuse_enroll(p->reason, p->roles[0], p->pod);
}

SEC("lsm.s/bprm_creds_for_exec")
int BPF_PROG(enroll_stage, struct linux_binprm *bprm, int ret)
{
	if (ret)
		return earlier(ret);
	if (!acting())
		return 0;
	return stage_armed(bpf_get_current_task_btf());
}

SEC("lsm.s/task_alloc")
int BPF_PROG(enroll_fork, struct task_struct *task, unsigned long flags, int ret)
{
	struct subject *s = current_subject(), *child;
	__u32 depth;

	if (ret || !s)
		return earlier(ret);
	if (is_unknown(s))
		return -EAGAIN;
	if (fork_is_refused())
		return -EPERM;
	child = bpf_task_storage_get(&subjects, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!child) {
		count(COUNT_NO_STORAGE);
		return -ENOMEM;
	}
	depth = s->depth; /* read once: stamp.h may append meanwhile */
	opaque(depth);
	if (child->depth) /* the other set was here, during an upgrade */
		return 0;
	child->flags = s->flags;
	child->moves = s->moves;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= depth)
			break;
		child->list[i] = s->list[i];
		child->list[i].flags &= ~MEMBER_FRESH;
		if (!named_before(s, i))
			domain_get(s->list[i].domain);
	}
	child->depth = depth;
	return 0;
}

/*
 * A task's last look-up finds the entry by hand where the kernel hides it (before 6.2):
 * nobody uses it any more, and what is not counted down here would stay for ever.
 */
static __always_inline void put_by_hand(struct task_struct *task)
{
	__u64 found = find_entry(task, id_of(&subjects));
	const struct subject *s = (const struct subject *)found;
	__u32 depth = 0, staged = 0;
	__u64 domain, previous = 0;

	if (!found || found == LOST)
		return;
	bpf_probe_read_kernel(&depth, sizeof(depth), &s->depth);
	bpf_probe_read_kernel(&staged, sizeof(staged), &s->staged);
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if ((i >= depth && i >= staged) ||
		    bpf_probe_read_kernel(&domain, sizeof(domain), &s->list[i].domain))
			break;
		if (domain != previous)
			domain_put(domain);
		previous = domain;
	}
}

/* The subject ends: its domains have one less. */
static __always_inline void put_domains(struct subject *s)
{
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if ((i >= s->depth && i >= s->staged) || named_before(s, i))
			continue;
		domain_put(s->list[i].domain);
	}
}

SEC("lsm/task_free")
void BPF_PROG(enroll_free, struct task_struct *task)
{
	__u32 *state = fork_of(task), tid = task->pid;
	struct subject *s;

	if (state && (*state & FORK_LOST))
		bpf_map_delete_elem(&forks, &tid);
	if (!UNTYPED(task, bpf_storage) || !acting())
		return;
	s = bpf_task_storage_get(&subjects, task, 0, 0);
	if (!s) {
		if (acting_first())
			put_by_hand(task);
		return;
	}
	tell_repeats(s);
	put_domains(s);
	/* During an upgrade the other set comes here, too. */
	s->depth = 0;
	s->staged = 0;
}

/* Prints the subjects as struct subject_info, for ps. */
SEC("iter/task")
int subjects_iter(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct subject_info info = {};
	struct subject *s, *first;

	if (!t)
		return 0;
	s = bpf_task_storage_get(&subjects, t, 0, 0);
	first = bpf_task_storage_get(&subjects, t->group_leader, 0, 0);
	if (is_whole(first) && (!s || s->depth < first->depth))
		s = first;
	if (!s || !s->depth)
		return 0;
	info.pid = t->tgid;
	info.tid = t->pid;
	info.depth = s->depth;
	info.uid = uid_of(t);
	bpf_probe_read_kernel(info.comm, sizeof(info.comm), t->comm);
	__builtin_memcpy(info.list, s->list, sizeof(info.list));
	bpf_seq_write(ctx->meta->seq, &info, sizeof(info));
	return 0;
}

#endif
