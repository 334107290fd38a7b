/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What every area shares: who is a subject, which policy holds for a role, reach,
 * and decide(), the one place where a verdict becomes an errno, a count and an event.
 */
#ifndef JAIL_CORE_H
#define JAIL_CORE_H

#include "maps.h"

/* Keep the compiler from moving a bound out of the verifier's sight. */
#define opaque(var) asm volatile("" : "+r"(var))

/* Which set of programs this object is; the others stay attached but inert
 * (jail upgrade). Set by the loader before the load. */
const volatile __u32 instance = 1;

/* 1: denials are counted and not told. For `make bench`, which so finds what telling
 * them costs; set before the load, and the verifier removes what is off. */
const volatile __u32 silent = 0;

/* What an earlier LSM answered, in the range that the verifier wants to see. */
static __always_inline int earlier(int ret)
{
	if (ret > 0)
		return -EPERM;
	opaque(ret);
	if (ret < -4095)
		return -EPERM;
	return ret;
}

/*
 * Some hooks pass NULL. From 6.2 on the verifier takes their arguments for pointers that
 * never are, and drops the question; so a copy is asked.
 */
static __always_inline int is_null(const void *pointer)
{
	__u64 copy = 1;

	if (bpf_rdonly_cast)
		return !bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(struct task_struct));
	bpf_probe_read_kernel(&copy, sizeof(copy), &pointer);
	return !copy;
}

static __always_inline struct control *get_control(void)
{
	__u32 key = CONTROL_KEY;

	return bpf_map_lookup_elem(&control_block, &key);
}

static __always_inline struct tally *get_tally(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&tallies, &key);
}

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		(*n)++;
}

/* A verdict, in the two values that the verifier can tell: see refuse_as(). */
static __always_inline int errno_of(int err)
{
	if (!err)
		return 0;
	return err == -EPERM ? -EPERM : -EACCES;
}

/*
 * This set of programs acts. Unsure counts as yes: two refusals do no harm. During an
 * upgrade two sets act: were it one word for one set, a task that passes the first while
 * the other acts, and the second after the switch, would be judged by neither.
 */
static __always_inline int acting_by(struct control *c)
{
	__u32 sets;

	if (!c)
		return 1;
	sets = *(volatile __u32 *)&c->instance;
	return (sets & INSTANCE_MASK) == instance || sets >> INSTANCE_SHIFT == instance;
}

static __always_inline int acting(void)
{
	return acting_by(get_control());
}

/* The same, for what must not be done twice: one set alone says yes. */
static __always_inline int acting_first(void)
{
	struct control *c = get_control();

	return !c || (c->instance & INSTANCE_MASK) == instance;
}

/* 6.2 */
extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;

/*
 * Before 6.2 a look-up in task storage also fails while any other use of it is under
 * way on this CPU, by a task that was preempted there: "no entry" may be a lie. Later
 * kernels spare LSM programs that; they are told by a function of the same release
 * that stayed (bpf_task_storage_get_recur went with 7.2). This looks for the entry by hand, in the
 * list of the task at an address. Its address, for bpf_probe_read_kernel(); 0 where there is
 * none; LOST after too many elements. Global: verified once.
 */
#define LOST ((__u64) - 1)

__noinline __u64 search_entry(struct task_struct *const *task, __u32 map_id)
{
	struct bpf_local_storage *storage;
	struct hlist_node *node;

	if (!task || bpf_rcu_read_lock)
		return 0;
	storage = BPF_CORE_READ(*task, bpf_storage);
	if (!storage)
		return 0;
	node = BPF_CORE_READ(storage, list.first);
	for (int i = 0; i < 16; i++) {
		struct bpf_local_storage_elem *e;
		struct bpf_local_storage_map *map;

		if (!node)
			return 0;
		e = (void *)node - bpf_core_field_offset(struct bpf_local_storage_elem, snode);
		map = BPF_CORE_READ(e, sdata.smap);
		if (BPF_CORE_READ(map, map.id) == map_id)
			return (__u64)e +
			       bpf_core_field_offset(struct bpf_local_storage_elem, sdata.data);
		node = BPF_CORE_READ(node, next);
	}
	return LOST;
}

static __always_inline __u64 find_entry(struct task_struct *task, __u32 map_id)
{
	return bpf_rcu_read_lock ? 0 : search_entry(&task, map_id);
}

/* A fork under way on a kernel that forks.h is about. */
enum fork_state {
	FORK_AT_STAKE = 1, /* if it fails now the parent's storage goes */
	FORK_REFUSED = 2,  /* a namespace that a role denies: said by task_alloc, which is later */
	FORK_LOST = 4,	   /* it failed: the task is being killed, and what it still does refused */
	ANY_FORK = 0,	   /* no thread's number: there once was a fork at stake */
};

static __always_inline __u32 *fork_of(struct task_struct *t)
{
	__u32 tid = t->pid;

	return bpf_map_lookup_elem(&forks, &tid);
}

/* The current thread forks, and must not be told no before task_alloc. 1: it will be. */
static __always_inline int refuse_fork_later(void)
{
	__u32 *state = fork_of(bpf_get_current_task_btf());

	if (!state || !(*state & FORK_AT_STAKE))
		return 0;
	*state |= FORK_REFUSED;
	return 1;
}

/* In task_alloc: the fork is one that refuse_fork_later() spared. */
static __always_inline int fork_is_refused(void)
{
	__u32 *state = fork_of(bpf_get_current_task_btf());

	return state && (*state & FORK_REFUSED);
}

#define id_of(map) (((struct bpf_map *)(map))->id)

/* A task's entry, NULL, or the entry that allows nothing, where it cannot be told. */
static __always_inline struct subject *entry_of(struct task_struct *task)
{
	struct subject *s = bpf_task_storage_get(&subjects, task, 0, 0);
	__u32 key = 0;

	if (s || !find_entry(task, id_of(&subjects)))
		return s;
	count(COUNT_FAULT);
	return bpf_map_lookup_elem(&unknown_subject, &key);
}

static __always_inline int is_unknown(const struct subject *s)
{
	return s->list[0].role == NO_ROLE;
}

/* What was moved whole, so that its other threads have to look: see catch_up(). */
static __always_inline __u32 moves_now(const struct control *c)
{
	return c ? *(volatile __u32 *)&c->moves : 0;
}

/* The list is, or begins with, one that all threads of the process have. */
static __always_inline int is_whole(const struct subject *first)
{
	return first && first->depth && (first->list[0].flags & MEMBER_WHOLE);
}

/* The task is not its process's first thread, and that one has some BPF storage. */
static __always_inline int first_has_storage(struct task_struct *t)
{
	struct task_struct *first = UNTYPED(t, group_leader);

	return first != t && PEEK(first, bpf_storage);
}

/*
 * The subject that another task is, or NULL. A thread that did not run since its process was
 * moved is what the first one is.
 */
static __always_inline struct subject *subject_of(struct task_struct *task)
{
	struct subject *s = UNTYPED(task, bpf_storage) ? entry_of(task) : NULL, *first;

	if (moves_now(get_control()) && first_has_storage(task)) {
		first = entry_of(task->group_leader);
		if (first &&
		    (is_unknown(first) || (is_whole(first) && (!s || s->depth < first->depth))))
			return first;
	}
	return s && s->depth ? s : NULL;
}

/* What catch_up() answers. */
enum caught {
	CAUGHT_NONE = 0, /* there was nothing, or no entry where there was none */
	CAUGHT_ALL = 1,	 /* the task has an entry, with all that it must have */
	CAUGHT_NOT = 2,	 /* it could not be had: nothing is allowed */
};

/*
 * The current task takes over what its process was moved into: see enroll.h. Global:
 * verified once, and its stack is not under that of what follows in the hook.
 */
int catch_up(void);

/*
 * The current task's entry, NULL, or the entry that allows nothing. Most tasks of a system
 * have no BPF storage of any kind, nor have their first threads, and two loads tell: typed
 * ones, which cost the verifier more than UNTYPED() and every hook less. *c: the control
 * block, where there is an entry.
 */
static __always_inline struct subject *stored_entry(struct task_struct *t, struct control **c)
{
	struct task_struct *leader = t->group_leader;
	struct subject *s = NULL;
	__u32 key = 0;

	if (t->bpf_storage)
		s = entry_of(t);
	else if (leader == t || !PEEK(leader, bpf_storage))
		return NULL;
	*c = get_control();
	if (s ? s->moves == moves_now(*c) : leader == t)
		return s;
	switch (catch_up()) {
	case CAUGHT_NONE:
		return s;
	case CAUGHT_ALL:
		if (!s)
			s = bpf_task_storage_get(&subjects, t, 0, 0);
		if (s)
			return s;
	}
	return bpf_map_lookup_elem(&unknown_subject, &key);
}

/* The same. A task that is killed as it loses its entry (see forks.h) may work on for long
 * after that, in one call of io_uring. */
static __always_inline struct subject *own_entry(struct task_struct *t, struct control **c)
{
	struct subject *s = stored_entry(t, c);
	__u32 *state, key = 0;

	if (s || !(t->pending.signal.sig[0] & (1UL << (SIGKILL - 1))))
		return s;
	state = fork_of(t);
	return state && (*state & FORK_LOST) ? bpf_map_lookup_elem(&unknown_subject, &key) : NULL;
}

/* The subject that the current task is, or NULL, whether or not this set of programs acts. */
static __always_inline struct subject *own_subject(void)
{
	struct control *c = NULL;
	struct subject *s = own_entry(bpf_get_current_task_btf(), &c);

	return s && s->depth ? s : NULL;
}

static __always_inline struct subject *current_subject(void)
{
	struct control *c = NULL;
	struct subject *s = own_entry(bpf_get_current_task_btf(), &c);

	return s && s->depth && acting_by(c) ? s : NULL;
}

/* The same, and also a task whose exec is about to make it one. */
static __always_inline struct subject *current_subject_or_staged(void)
{
	struct control *c = NULL;
	struct subject *s = own_entry(bpf_get_current_task_btf(), &c);

	return s && (s->depth | s->staged) && acting_by(c) ? s : NULL;
}

/*
 * A count of the changes of process 1's mount table; 0: it cannot be told. The loader makes
 * start states of that table, and notes for which count.
 */
static __always_inline __u64 mounts_now(const struct control *c)
{
	struct task_struct *init = (struct task_struct *)c->init;

	return init ? BPF_CORE_READ(init, nsproxy, mnt_ns, event) : 0;
}

/* A set of capabilities as one number: the kernel changed its members. */
#define CAPABILITIES(cred, set)                                                                    \
	({                                                                                         \
		__u64 bits_ = 0;                                                                   \
		bpf_probe_read_kernel(&bits_, sizeof(bits_),                                       \
				      __builtin_preserve_access_index(&(cred)->set));              \
		bits_;                                                                             \
	})

static __always_inline __u32 uid_of(struct task_struct *t)
{
	struct cred *cred = (struct cred *)UNTYPED(t, cred);

	return UNTYPED(cred, uid.val);
}

/* The kernel acts for the task under other credentials (overlayfs). */
static __always_inline int borrowed_creds(void)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return UNTYPED(t, cred) != UNTYPED(t, real_cred);
}

/*
 * The same, and not at the task's own wish: a thread that polls several io_uring rings
 * puts on the credentials of each ring's maker.
 */
static __always_inline int lent_creds(void)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return !(t->flags & PF_IO_WORKER) && UNTYPED(t, cred) != UNTYPED(t, real_cred);
}

/*
 * The policy that a member's role points at now, or NULL: the role or its policy is gone.
 * The slot is read once, as one word: a reload that flips it meanwhile leaves this with
 * the old policy or the new one, and the old one's slot is not used again before a grace
 * period is over. Role ids are not used twice, so a slot that is tells by the role.
 */
static __always_inline struct policy *policy_of(const struct member *m)
{
	__u32 slot = m->slot;
	struct policy *p;
	struct role *r;

	r = bpf_map_lookup_elem(&roles, &slot);
	if (!r || r->id != m->role)
		return NULL;
	slot = *(volatile __u32 *)&r->policy_slot;
	p = bpf_map_lookup_elem(&policies, &slot);
	if (!p || !p->id || p->role != m->role)
		return NULL;
	return p;
}

/*
 * The actor's list is a prefix of the target's. An unjailed actor reaches everything. A
 * role that is enforced on the one and only reported on the other counts as two.
 */
static __always_inline int reaches(const struct subject *actor, const struct subject *target)
{
	if (!actor)
		return 1;
	if (!target || actor->depth > target->depth)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= actor->depth)
			break;
		if (actor->list[i].domain != target->list[i].domain ||
		    actor->list[i].role != target->list[i].role ||
		    ((actor->list[i].flags ^ target->list[i].flags) & MEMBER_PERMISSIVE))
			return 0;
	}
	return 1;
}

/* The members from here on may have the exec under way, as the one that entered them. */
static __always_inline __u32 granted_from(const struct subject *s)
{
	__u32 from = s->depth;

	for (int i = ROLE_DEPTH - 1; i >= 0; i--) {
		if ((__u32)i >= s->depth)
			continue;
		if (!(s->list[i].flags & MEMBER_FRESH))
			break;
		from = i;
	}
	return from;
}

/* The maker of the socket is within the subject's reach: see reaches(). */
static __always_inline int made_within(const struct subject *actor, const struct owner *owner)
{
	if (!owner || actor->depth > owner->depth)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= actor->depth)
			break;
		if (actor->list[i].domain != owner->domain[i] ||
		    actor->list[i].role != owner->role[i])
			return 0;
	}
	return 1;
}

/* Whose it is that the subject makes. */
static __always_inline void own(struct owner *o, const struct subject *s)
{
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		o->domain[i] = s->list[i].domain;
		o->role[i] = s->list[i].role;
	}
	o->depth = s->depth;
}

/* What is asked: who wants to do what to which object. */
struct query {
	__u32 port; /* from here to addr: as in struct event */
	__u32 value;
	__u32 op; /* enum op */
	__u32 access;
	__u32 reason;	  /* out: enum reason */
	__u32 rule;	  /* out: the rule that decided; 0: none */
	__s32 error;	  /* out: what the refusal returns, positive */
	__u32 permissive; /* out: reported only */
	__u32 family;
	__u32 protocol;
	__u8 addr[16];
	union {
		__u32 words[4]; /* addr in host byte order, for the range search */
		struct {
			__u64 from; /* rename and link: the dentry at the old name */
			__u64 to;   /* and at the new one */
		}; /* both also: see note() */
	};
	__u32 chardev; /* rdev of a character device */
	union {
		__u8 list;  /* enum port_list */
		__u8 moves; /* enum move: rename and link */
	};
	__u8 member;	  /* the member being asked */
	__u8 granted;	  /* members from here on enter by this exec: it is their one exec */
	__u8 alternative; /* 1: any one bit of access is enough */
	__u8 pathless;	  /* no path to judge: only the flags */
	__u8 quiet;	  /* the kernel only wonders: no event */
	__u8 located;	  /* 1: the subject's walk holds all names of leaf */
	__u8 depth;	  /* of the list that is asked: its first members */
	__u32 seq;	  /* files: rename_count() when their directories were looked up */
	__u64 leaf;	  /* address of the dentry that is judged */
	union {
		__u64 sock;	  /* address of the socket: a UNIX peer, or a datagram's own */
		__u64 generation; /* files: see note() */
	};
};

/* Begin a query. Not where it is declared: hooks mostly find that there is nothing to ask. */
static __always_inline void ask(struct query *q, __u32 op)
{
	__builtin_memset(q, 0, sizeof(*q));
	q->op = op;
	q->granted = ROLE_DEPTH;
}

#include "event.h"

/* This role only reports. */
static __always_inline __u32 reports_only(const struct member *m, const struct policy *p)
{
	return p && ((p->flags & MODE_PERMISSIVE) || (m->flags & MEMBER_PERMISSIVE));
}

/*
 * Somebody says no: count it, report it, and answer what the hook must return. s is NULL
 * for a task that is no subject yet.
 */
static __always_inline int refuse_as(struct subject *s, struct query *q, struct member *m,
				     const struct policy *p, int error, __u32 permissive)
{
	q->error = error;
	q->permissive = permissive;
	opaque(p); /* or "is it NULL" becomes a flag, which 6.1's verifier does not tie to p */
	refused(s, q, m, p ? p->id : 0);
	if (permissive)
		return 0;
	/* Not -error: 6.12 loses the bounds of a negated register. */
	return error == EPERM ? -EPERM : -EACCES;
}

/* One role says no. What keeps an unprivileged caller from gaining holds in any mode. */
static __always_inline int refuse(struct subject *s, struct query *q, struct member *m,
				  const struct policy *p, int error)
{
	__u32 permissive = q->reason != REASON_NO_GAIN && reports_only(m, p);

	return refuse_as(s, q, m, p, error, permissive);
}

/* 1: the policy allows it. 0: it does not, and q->reason and q->rule say why. */
typedef int (*verdict_fn)(struct subject *s, struct policy *p, struct query *q);

/* The policy of the role whose turn it is; NULL: there is none, and it says no. */
static __always_inline struct policy *turn_of(struct subject *s, struct query *q, __u32 i)
{
	struct policy *p = policy_of(&s->list[i]);

	q->member = i;
	q->rule = 0;
	q->reason = p ? REASON_RULE : REASON_NO_POLICY;
	return p;
}

/*
 * Ask every role in list[0..depth) in turn. This and file_judge() are the only ways to a
 * refusal by policy, so that verdict, count and event cannot differ. What the turns share is
 * in the query: stack is scarce.
 */
static __always_inline int decide(struct subject *s, __u32 depth, struct query *q,
				  verdict_fn verdict, int error)
{
	q->depth = depth;
	q->error = error;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		struct policy *p;
		int err;

		if (i >= q->depth)
			break;
		p = turn_of(s, q, i);
		if (p && verdict(s, p, q))
			continue;
		err = refuse(s, q, &s->list[i], p, q->error);
		if (err)
			return err;
	}
	return 0;
}

/* Verdict of areas that only a flag governs: all bits of q->access must be open. */
static __always_inline int flag_verdict(struct subject *s, struct policy *p, struct query *q)
{
	return (p->flags & q->access) == q->access;
}

/* decide() by flag_verdict(). Global: verified once. */
__noinline int flag_decide(struct subject *s, struct query *q, int error)
{
	return s && q ? decide(s, s->depth, q, flag_verdict, error) : -EACCES;
}

/* The capability q->value, or a flag that opens it as well. */
static __always_inline int capability_verdict(struct subject *s, struct policy *p, struct query *q)
{
	return ((p->capabilities >> (q->value & 63)) & 1) || (q->access && (p->flags & q->access));
}

/* Every role of the subject only reports. Global: verified once. */
__noinline int all_report_only(struct subject *s)
{
	if (!s)
		return 0;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= s->depth)
			break;
		if (!reports_only(&s->list[i], policy_of(&s->list[i])))
			return 0;
	}
	return 1;
}

/* refuse_always(), verified once. */
__noinline int refused_always(struct subject *s, struct query *q, __u32 reason, int error)
{
	__u32 last, permissive;

	if (!s || !q)
		return -EPERM;
	last = (s->depth - 1) & (ROLE_DEPTH - 1);
	permissive = reason == REASON_REACH && all_report_only(s);
	q->reason = reason;
	q->rule = 0;
	return refuse_as(s, q, &s->list[last], policy_of(&s->list[last]), error, permissive);
}

/*
 * Refuse on behalf of the subject's innermost role, where no policy is asked. Reach is
 * the whole list's concern: one role that is enforced enforces it. All else here is
 * self-protection, which holds in any mode.
 */
static __always_inline int refuse_always(struct subject *s, struct query *q, __u32 reason,
					 int error)
{
	return errno_of(refused_always(s, q, reason, error));
}

/* What a seal has closed (enum seal): to everybody, root outside any jail included. */
static __always_inline __u32 sealed(void)
{
	struct control *c = get_control();

	return c && c->sealed && acting() ? c->sealed : SEAL_NONE;
}

static __always_inline void refuse_closed(struct query *q)
{
	struct task_struct *t = bpf_get_current_task_btf();
	/* Not current_subject(): stack is scarce. The hook has caught up with what was moved. */
	struct subject *s = UNTYPED(t, bpf_storage) ? entry_of(t) : NULL;
	__u32 key = 0;

	if (s && s->depth && acting()) {
		refuse_always(s, q, REASON_SEALED, EPERM);
		return;
	}
	/* Nobody's member is the second of this list, which is empty. */
	s = bpf_map_lookup_elem(&unknown_subject, &key);
	q->reason = REASON_SEALED;
	if (s)
		refuse_as(NULL, q, &s->list[1], NULL, EPERM, 0);
}

/* Refuse what is sealed, to a subject or to nobody's task. Global: its own stack, verified
 * once. */
__noinline int refuse_sealed(struct query *q)
{
	if (!q)
		return -EPERM;
	refuse_closed(q);
	return -EPERM;
}

/* The same, where there is no query yet: stack is scarce. */
__noinline int refuse_sealed_op(__u32 op, __u32 value)
{
	struct query q = { .op = op, .granted = ROLE_DEPTH };

	q.value = value;
	refuse_closed(&q);
	return -EPERM;
}

/* decide() for what a role must name and permissive mode does not open. */
static __always_inline int hard_decide(struct subject *s, struct query *q, verdict_fn verdict,
				       int error)
{
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		struct policy *p;

		if (i >= s->depth)
			break;
		p = policy_of(&s->list[i]);
		q->member = i;
		if (p && verdict(s, p, q))
			continue;
		q->rule = 0;
		q->reason = REASON_GUARD;
		return refuse_as(s, q, &s->list[i], p, error, 0);
	}
	return 0;
}

#endif
