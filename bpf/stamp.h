/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A running process made a subject from outside: all its threads, none left out, and with
 * STAMP_TREE its descendants.
 *
 *   iter/task            one pass: stamps or arms the threads of each process in `stamps`
 *   sched_process_fork   copies to a child that passed task_alloc before its parent was
 *                        stamped; takes in what is born into a listed control group
 *
 * User space repeats the pass until one stamps nothing. Then every thread is under the
 * roles: a thread that was linked before that pass was met by it, and one that was not
 * yet linked found its parent stamped at the tracepoint, which comes after linking and
 * before the child runs.
 *
 * A stamp only appends. It holds its domain until stamp_end, so that a first thread which
 * ends does not take the domain away from the others.
 */
#ifndef JAIL_STAMP_H
#define JAIL_STAMP_H

#include "enroll.h"
#include "ways.h"

enum {
	TICK = 10000000, /* ns in a tick of /proc/PID/stat */
};

/* What an unprivileged requester may be: the process that asked, and nothing more. */
static __always_inline int same_privilege(struct task_struct *t, __u32 uid)
{
	const struct cred *cred = t->cred;
	__u64 caps = 0;

	if (cred->uid.val != uid || cred->euid.val != uid || cred->suid.val != uid ||
	    cred->fsuid.val != uid || cred->gid.val != cred->egid.val)
		return 0;
	if (is_root(t) || (t->atomic_flags & (1UL << PFA_NO_NEW_PRIVS)))
		return 1;
	if (!uid && cred->user_ns->level == 0)
		return 1; /* root without CAP_SYS_ADMIN: nothing to trick it out of */
	bpf_probe_read_kernel(&caps, sizeof(caps),
			      __builtin_preserve_access_index(&cred->cap_permitted));
	return !caps || cred->user_ns->level;
}

/* It is traced, or it traces. */
static __always_inline int traced(struct task_struct *t)
{
	__u64 head = (__u64)t + bpf_core_field_offset(struct task_struct, ptraced);

	return BPF_CORE_READ(t, ptrace) || (__u64)BPF_CORE_READ(t, ptraced.next) != head;
}

/* May this thread be stamped? 0, or an enum refusal. */
static __always_inline __u32 check_stamp(struct task_struct *t, struct stamp *st)
{
	struct pending *r = &st->request;
	struct control *c = get_control();

	if (!c || !c->door)
		return REFUSED_DOOR;
	if (t->flags & PF_KTHREAD)
		return REFUSED_KERNEL;
	if ((st->flags & STAMP_UNTRACED) && traced(t))
		return REFUSED_TRACED;
	if (!r->count || r->count > ROLE_DEPTH)
		return REFUSED_DEPTH;
	if (!(st->flags & STAMP_BY_ROOT) && !same_privilege(t, st->uid))
		return REFUSED_PRIVILEGE;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		struct policy *policy;
		struct member m = {};
		__u32 id, *slot;

		if (i >= r->count)
			break;
		id = r->roles[i];
		slot = bpf_map_lookup_elem(&role_slots, &id);
		if (!slot)
			return REFUSED_ROLE;
		m.role = id;
		m.slot = *slot;
		policy = policy_of(&m);
		if (!policy)
			return REFUSED_ROLE;
		if (!(st->flags & STAMP_BY_ROOT) && !is_root(t) &&
		    !may_enter(policy, (__u64)BPF_CORE_READ(t, cred)))
			return REFUSED_USER;
	}
	return REFUSED_NOT;
}

static __always_inline __u32 gain_flags(struct task_struct *t, struct stamp *st)
{
	return (st->flags & STAMP_BY_ROOT) || is_root(t) ? 0 : SUBJECT_NO_GAIN;
}

/* Is the subject in the stamp's domain? */
static __always_inline int carries(const struct subject *s, __u64 domain)
{
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= s->depth)
			break;
		if (s->list[i].domain == domain)
			return 1;
	}
	return 0;
}

/* Memory that must not wait for locks is refused now and then on 7.2: the next pass retries. */
static __always_inline __u32 again(struct stamp *st)
{
	count(COUNT_NO_STORAGE);
	st->busy++;
	return REFUSED_NOT;
}

/* Append the roles to one thread's list. 0, or an enum refusal. */
static __always_inline __u32 stamp_thread(struct task_struct *t, struct stamp *st)
{
	struct pending *r = &st->request;
	struct subject *s, *first;
	__u32 base, why;

	s = bpf_task_storage_get(&subjects, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!s)
		return again(st);
	if (st->domain && carries(s, st->domain))
		return REFUSED_NOT;
	if ((st->flags & STAMP_ONCE) && holds(s, s->depth, r->roles[0]))
		return REFUSED_NOT;
	if (!claim(t, s)) {
		st->busy++;
		return REFUSED_NOT;
	}
	/* In the order that the first thread's list has. */
	if (t->group_leader != t) {
		first = entry_of(t->group_leader);
		if (is_whole(first) && !take_over(s, first)) {
			release(s);
			return REFUSED_DEPTH;
		}
	}
	base = s->depth;
	opaque(base);
	why = base >= ROLE_DEPTH || base + r->count > ROLE_DEPTH ? REFUSED_DEPTH
								 : write_roles(s, base, r);
	if (!why && !st->domain) {
		__u64 domain = 0, label = 0;

		r->uid = uid_of(t);
		r->trust = st->flags & STAMP_BY_ROOT ? TRUST_WORD
			   : is_root(t)		     ? TRUST_ROOT
						     : TRUST_NONE;
		/* founded or joined with one hold, which is the stamp's own until stamp_end */
		why = enter_domain(s, base, r, &domain, &label);
		if (!why) {
			st->domain = domain;
			st->label = label;
		}
	}
	if (!why && !domain_get(st->domain))
		why = REFUSED_GONE;
	if (why) {
		release(s);
		return why;
	}
	write_domain(s, base, r, st->domain, st->label);
	s->flags |= gain_flags(t, st);
	s->depth = base + r->count;
	release(s);
	st->stamped++;
	return REFUSED_NOT;
}

/* Arm one thread: its next exec enters the roles. */
static __always_inline __u32 arm_thread(struct task_struct *t, struct stamp *st)
{
	struct pending *r = &st->request, *p;
	__u32 at;

	p = bpf_task_storage_get(&pending_enrollments, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!p)
		return again(st);
	at = p->count;
	if (at + r->count > ROLE_DEPTH)
		return REFUSED_DEPTH;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= r->count)
			break;
		p->roles[(at + i) & (ROLE_DEPTH - 1)] = r->roles[i];
	}
	if (r->pod)
		p->pod = r->pod;
	p->flags |= gain_flags(t, st);
	p->count = at + r->count;
	st->stamped++;
	return REFUSED_NOT;
}

/* The stamp whose process is an ancestor of this thread's, or NULL. */
static __always_inline struct stamp *tree_of(struct task_struct *t)
{
	struct task_struct *parent;
	__u32 key = 0, *root, tgid;
	struct subject *s;
	struct stamp *st;
	__u64 memory;

	root = bpf_map_lookup_elem(&trees, &key);
	if (!root || !*root)
		return NULL;
	tgid = *root;
	st = bpf_map_lookup_elem(&stamps, &tgid);
	if (!st)
		return NULL;
	parent = t->real_parent;
	if (st->flags & STAMP_LOOK) {
		memory = (__u64)BPF_CORE_READ(t, mm);
		/* A vfork child shares it too, but is a descendant. */
		if (memory && memory == st->memory && BPF_CORE_READ(parent, tgid) != tgid)
			st->refused = REFUSED_SHARED;
		return NULL;
	}
	if (!parent || !st->domain)
		return NULL;
	s = bpf_task_storage_get(&subjects, parent, 0, 0);
	return s && carries(s, st->domain) ? st : NULL;
}

SEC("iter/task")
int stamp_iter(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct stamp *st;
	__u32 tgid, why;

	if (!t)
		return 0;
	tgid = t->tgid;
	st = bpf_map_lookup_elem(&stamps, &tgid);
	if (!st)
		st = tree_of(t);
	else if (BPF_CORE_READ(t, group_leader, start_boottime) / TICK != st->start)
		return 0;
	if (!st || st->refused)
		return 0;
	st->seen++;
	if (st->flags & STAMP_LOOK) {
		st->memory = (__u64)BPF_CORE_READ(t, mm);
		st->refused = check_stamp(t, st);
		return 0;
	}
	/* Its credentials may be about to change. */
	if (BPF_CORE_READ_BITFIELD_PROBED(t, in_execve)) {
		st->busy++;
		return 0;
	}
	if (__sync_val_compare_and_swap(&st->lock, 0, 1)) {
		st->busy++;
		return 0;
	}
	why = check_stamp(t, st);
	if (!why)
		why = st->flags & STAMP_AT_EXEC ? arm_thread(t, st) : stamp_thread(t, st);
	st->refused = why;
	st->lock = 0;
	return 0;
}

/* The end of an enrollment from outside: gives back the stamp's hold on its domain. */
SEC("syscall")
int stamp_end(__u32 *tgid)
{
	__u32 key = *tgid;
	struct stamp *st = bpf_map_lookup_elem(&stamps, &key);
	__u64 domain;

	if (!st)
		return 1;
	domain = st->domain;
	bpf_map_delete_elem(&stamps, &key);
	if (domain)
		domain_put(domain);
	return 0;
}

/* What the parent got after task_alloc had copied its list. */
static __always_inline void inherit_late(struct task_struct *child)
{
	struct subject *s = current_subject(), *c;
	__u32 depth;

	if (!s || is_unknown(s))
		return;
	c = entry_of(child);
	if (c && is_unknown(c)) /* it has a list: task_alloc made it */
		return;
	if (!c)
		c = bpf_task_storage_get(&subjects, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!c) {
		/* The child passed task_alloc unjailed: end the process rather than let a thread of
		 * it run so. A forked child lives on, outside: what enrolls a tree passes again. */
		count(COUNT_NO_STORAGE);
		bpf_send_signal(SIGKILL);
		return;
	}
	depth = s->depth;
	opaque(depth);
	if (c->depth >= depth || !hold(c))
		return;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i < c->depth)
			continue;
		if (i >= depth)
			break;
		c->list[i] = s->list[i];
		c->list[i].flags &= ~MEMBER_FRESH;
		if (!named_before(s, i))
			domain_get(s->list[i].domain);
	}
	c->flags |= s->flags;
	if (c->depth < depth)
		c->depth = depth;
	release(c);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(stamp_fork, struct task_struct *parent, struct task_struct *child)
{
	inherit_late(child);
	if (acting())
		enter_by_cgroup(child, NULL, 0);
	return 0;
}

#endif
