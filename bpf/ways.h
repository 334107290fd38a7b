/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Ways into a jail besides `jail run`.
 *
 *   bprm_creds_for_exec   (enroll_stage_v2, from 6.15 on) reads the file's mark
 *   bprm_check_security   (exec_check) each pass: the file in the table of executables,
 *                         its canonical path in the table of paths, the task's control
 *                         group and those around it
 *   bprm_committed_creds  what the exec enters holds; a move meanwhile is judged
 *   sched_process_fork    (in stamp.h) a child born into a listed control group
 *   cgroup_attach_task    a task that is moved into a listed control group
 *
 * All that match stack, but a role that the list has already: it takes away nothing more,
 * and a marked program that executes itself would fill the list.
 *
 * Of a process with several threads that is moved, the first is taken in at once, each
 * other before its next hook judges: see catch_up().
 *
 * Known gap: what fails for lack of memory at a fork or a move is counted and judged again
 * at the next exec.
 */
#ifndef JAIL_WAYS_H
#define JAIL_WAYS_H

#include "core.h"
#include "enroll.h"
#include "file.h"

/* 6.8; names that begin with security.bpf. since 6.15 */
extern int bpf_get_file_xattr(struct file *file, const char *name,
			      struct bpf_dynptr *value) __ksym __weak;

const char mark_name[] = MARK_NAME;

enum {
	SCRATCH_TRIES = 16,
};

static __always_inline struct ways *get_ways(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&ways_in, &key);
}

static __always_inline struct scratch *scratch_get(void)
{
	__u32 first = bpf_get_smp_processor_id();

	for (__u32 i = 0; i < SCRATCH_TRIES; i++) {
		__u32 key = (first + i) & (SCRATCHES - 1);
		struct scratch *sc = bpf_map_lookup_elem(&scratches, &key);

		if (sc && __sync_val_compare_and_swap(&sc->busy, 0, 1) == 0) {
			sc->found = 0;
			sc->slot = key;
			return sc;
		}
	}
	return NULL;
}

static __always_inline void scratch_put(struct scratch *sc)
{
	__sync_val_compare_and_swap(&sc->busy, 1, 0);
}

/* list[0..depth) has the role already, and not permissive. */
static __always_inline int holds(const struct subject *s, __u32 depth, __u32 role)
{
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i >= depth)
			break;
		if (s->list[i].role == role && !(s->list[i].flags & MEMBER_PERMISSIVE))
			return 1;
	}
	return 0;
}

/* Add what an entrance leads to; flags: of the member, none of which come from elsewhere.
 * 0, or an enum refusal. Global: verified once. */
__noinline int admit(struct subject *s, __u32 slot, struct entrance *e, __u32 uid, __u32 flags)
{
	struct scratch *sc = bpf_map_lookup_elem(&scratches, &slot);

	if (!s || !sc || !e)
		return REFUSED_MEMORY;
	if (holds(s, s->staged ? s->staged : s->depth, e->role))
		return REFUSED_NOT;
	sc->pending.count = 1;
	sc->pending.flags = 0;
	sc->pending.member_flags = flags;
	sc->pending.roles[0] = e->role;
	sc->pending.pod = e->pod;
	sc->pending.uid = uid;
	sc->pending.trust = TRUST_WORD;
	return add_roles(s, &sc->pending);
}

/* Admit to all that was found; the first refusal ends it and sets *role. */
static __always_inline int admit_all(struct subject *s, struct scratch *sc, __u32 uid, __u32 flags,
				     __u32 *at)
{
	if (sc->found > ROLE_DEPTH)
		return REFUSED_DEPTH;
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		int why;

		if (i >= sc->found)
			break;
		why = admit(s, sc->slot, &sc->list[i], uid, flags);
		if (why) {
			*at = i;
			return why;
		}
	}
	return REFUSED_NOT;
}

/* Remember an entrance; more than can stack are refused. */
static __always_inline void found(struct scratch *sc, const struct entrance *e)
{
	__u32 at = sc->found;

	opaque(at);
	if (at >= ROLE_DEPTH) {
		sc->found = ROLE_DEPTH + 1;
		return;
	}
	sc->list[at] = *e;
	sc->found = at + 1;
}

static __always_inline void key_of(struct file_key *key, struct inode *inode)
{
	key->inode = BPF_CORE_READ(inode, i_ino);
	key->device = BPF_CORE_READ(inode, i_sb, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

/*
 * What the table of paths says of the dentry q->leaf: 1: found, 0: nothing, -1: it cannot
 * be told, 2: an executor that is passed over. Global: verified once.
 */
__noinline int entrance_by_path(struct scratch *sc, struct query *q, __u32 slot)
{
	struct path_key key = {};
	struct entrance *e;
	struct policy *p;
	void *inner;
	__u32 *word;
	int state;

	if (!sc || !q)
		return -1;
	p = bpf_map_lookup_elem(&policies, &slot);
	if (!p || !p->id)
		return -1;
	state = file_state(&sc->walk, p, q);
	if (state < 0)
		return q->reason == REASON_RACE || q->reason == REASON_UNREADABLE ? -1 : 0;
	inner = bpf_map_lookup_elem(&tables, &slot);
	if (!inner)
		return -1;
	word = table_at(inner, p->file_accept_at + state * 4, 4);
	if (!word)
		return -1;
	if (state == STATE_NOWHERE || !(*word & ACCESS_MATCHED))
		return 0;
	key.policy = p->id;
	key.rule = *word >> 8;
	e = bpf_map_lookup_elem(&executable_paths, &key);
	if (!e)
		return -1;
	if (e->flags & ENTRANCE_SKIP)
		return 2;
	found(sc, e);
	return 1;
}

struct ancestry {
	struct scratch *scratch;
	__u64 group;
	__u32 level;
	__u32 at; /* bytes in the key */
};

/* Stores a control group by its level and moves up; the root, which has no name, ends it. */
static long above(__u32 i, struct ancestry *a)
{
	struct cgroup *group = (struct cgroup *)a->group;

	if (i >= a->level)
		return 1;
	a->scratch->groups[(a->level - i) & (CGROUP_DEPTH - 1)] = a->group;
	a->group = (__u64)BPF_CORE_READ(group, self.parent, cgroup);
	return 0;
}

/* Appends "/" and a control group's name to the key, and looks it up. */
static long below(__u32 i, struct ancestry *a)
{
	struct scratch *sc = a->scratch;
	struct cgroup *group;
	__u32 at = a->at;
	struct entrance *e;
	const char *name;
	__u8 *to;
	long len;

	i++;
	if (i > a->level)
		return 1;
	group = (struct cgroup *)sc->groups[i & (CGROUP_DEPTH - 1)];
	name = BPF_CORE_READ(group, kn, name);
	opaque(at);
	if (at >= CGROUP_PATH - 2)
		return 1;
	to = sc->cgroup.path;
	to[at] = '/';
	at++;
	/* Behind the key there is room: a name of up to 255 bytes always fits. */
	len = bpf_probe_read_kernel_str(to + at, CGROUP_PATH, name);
	if (len <= 1)
		return 1;
	at += len - 1;
	if (at >= CGROUP_PATH)
		return 1;
	a->at = at;
	e = bpf_map_lookup_elem(&cgroups, &sc->cgroup);
	if (e)
		found(sc, e);
	return 0;
}

/* In the scratch of that slot, collect the entrances of the control group sc->group and of those
 * around it: from a path that is too long for the table, those near the root. Global: verified
 * once. */
__noinline int collect_cgroups(__u32 slot)
{
	struct scratch *sc = bpf_map_lookup_elem(&scratches, &slot);
	struct ancestry a = { .scratch = sc };
	struct cgroup *group;

	if (!sc)
		return 0;
	a.group = sc->group;
	group = (struct cgroup *)a.group;
	a.level = BPF_CORE_READ(group, level);
	/* Deeper ones only repeat slots: skip up to where all fit. */
	for (__u32 i = 0; i < CGROUP_DEPTH; i++) {
		if (a.level < CGROUP_DEPTH)
			break;
		group = (struct cgroup *)a.group;
		a.group = (__u64)BPF_CORE_READ(group, self.parent, cgroup);
		a.level--;
	}
	__builtin_memset(&sc->cgroup, 0, sizeof(sc->cgroup));
	bpf_loop(CGROUP_DEPTH, above, &a, 0);
	bpf_loop(CGROUP_DEPTH, below, &a, 0);
	return 0;
}

/* The entrance of a file by its inode. With the two below, kept out of the frame of
 * exec_check, from which the deepest calls go. */
static __noinline struct entrance *entrance_of(struct file *file)
{
	struct file_key key;

	key_of(&key, file->f_inode);
	return bpf_map_lookup_elem(&executables, &key);
}

/* Stage what was found, and what the task's control groups lead to. 0, or an enum refusal
 * of sc->nobody. */
static __noinline int enter_found(struct scratch *sc, __u32 groups, __u32 why)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct entrance *e;
	struct subject *s;
	__u32 at = 0;

	if (groups) {
		sc->group = (__u64)BPF_CORE_READ(t, cgroups, dfl_cgrp);
		collect_cgroups(sc->slot);
	}
	if (!why && sc->found) {
		s = bpf_task_storage_get(&subjects, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		why = s ? admit_all(s, sc, uid_of(t), 0, &at) : REFUSED_MEMORY;
	}
	e = &sc->list[at & (ROLE_DEPTH - 1)];
	sc->nobody.role = e->role;
	sc->nobody.pod = e->pod;
	return why;
}

/* What the file of this pass and the task's control groups lead to is staged, or the
 * exec refused. */
static __always_inline int enter_by_exec(struct linux_binprm *bprm, struct query *q)
{
	struct file *file = bprm->file;
	struct ways *w = get_ways();
	struct entrance *marked;
	struct scratch *sc;
	__u32 skip = 0;
	int why = REFUSED_NOT, is;

	if (!w || !acting())
		return 0;
	marked = entrance_of(file);
	if (!marked && !w->paths && !w->cgroups)
		return 0;
	sc = scratch_get();
	if (!sc) {
		count(COUNT_NO_STORAGE);
		return -EAGAIN;
	}
	if (marked && (marked->flags & ENTRANCE_SKIP))
		skip = 1;
	else if (marked)
		found(sc, marked);
	if (w->paths && !nature_of(file->f_path.dentry).pathless) {
		q->leaf = (__u64)file->f_path.dentry;
		is = entrance_by_path(sc, q, w->paths);
		if (is < 0)
			why = REFUSED_PATH;
		else if (is > 1)
			skip = 1;
	}
	why = enter_found(sc, w->cgroups && !skip, why);
	if (why) {
		q->op = OP_ENROLL;
		q->access = 0;
		q->value = why;
		q->reason = REASON_ENROLL;
		q->leaf = 0;
		refuse(NULL, q, &sc->nobody, NULL, EPERM);
	}
	scratch_put(sc);
	return why ? -EPERM : 0;
}

/* The file's mark. 1: read, 0: there is none or it cannot be known here, -1: malformed. */
static __noinline int read_mark(struct scratch *sc, struct file *file, struct entrance *e)
{
	struct bpf_dynptr to;
	struct mark *m = (struct mark *)sc->mark;
	int len;

	if (bpf_dynptr_from_mem(sc->mark, sizeof(sc->mark), 0, &to))
		return -1;
	len = bpf_get_file_xattr(file, mark_name, &to);
	/* No mark; no marks here; or no permission to read the file: the tables decide. */
	if (len == -ENODATA || len == -EOPNOTSUPP || len == -EACCES || len == -EPERM)
		return 0;
	if (len != sizeof(*m) || m->version != MARK_VERSION)
		return -1;
	e->role = m->role;
	e->pod = m->pod;
	e->flags = 0;
	return 1;
}

SEC("lsm.s/bprm_creds_for_exec")
int BPF_PROG(enroll_stage_v2, struct linux_binprm *bprm, int ret)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct entrance e = {};
	struct scratch *sc;
	struct subject *s;
	int is, why, err;

	if (ret)
		return earlier(ret);
	if (!acting())
		return 0;
	err = stage_armed(t);
	if (err)
		return err;
	sc = scratch_get();
	if (!sc)
		return refuse_enroll(REFUSED_MEMORY, 0, 0);
	is = read_mark(sc, bprm->file, &e);
	why = is < 0 ? REFUSED_MARK : REFUSED_NOT;
	if (is > 0) {
		s = bpf_task_storage_get(&subjects, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		why = s ? admit(s, sc->slot, &e, uid_of(t), 0) : REFUSED_MEMORY;
	}
	scratch_put(sc);
	return why ? refuse_enroll(why, e.role, e.pod) : 0;
}

/* systemd's executor, and systemd: what they start is judged when it is executed. */
static __always_inline int runs_executor(struct task_struct *t)
{
	struct inode *inode = BPF_CORE_READ(t, mm, exe_file, f_inode);
	struct entrance *e;
	struct file_key key;

	if (!inode)
		return 0;
	key_of(&key, inode);
	e = bpf_map_lookup_elem(&executables, &key);
	return e && (e->flags & ENTRANCE_SKIP);
}

/* What the first thread of a process has is what all have; and they have to look. */
static __always_inline void make_whole(struct subject *s)
{
	struct control *c = get_control();

	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i < s->depth)
			__sync_fetch_and_or(&s->list[i].flags, MEMBER_WHOLE);
	}
	if (c)
		__sync_fetch_and_add(&c->moves, 1);
}

/* Take a task in by its control group, or by the one that it is moved to, whole: with all
 * threads of its process. 0, or an enum refusal, which is told. */
static __always_inline int enter_by_cgroup(struct task_struct *t, struct cgroup *group, int whole)
{
	struct ways *w = get_ways();
	struct scratch *sc;
	struct entrance *e;
	struct subject *s;
	__u32 at = 0;
	int why = REFUSED_NOT;

	if (!w || !w->cgroups || runs_executor(t))
		return REFUSED_NOT;
	sc = scratch_get();
	if (!sc) {
		count(COUNT_NO_STORAGE);
		return REFUSED_MEMORY;
	}
	sc->group = group ? (__u64)group : (__u64)BPF_CORE_READ(t, cgroups, dfl_cgrp);
	collect_cgroups(sc->slot);
	if (sc->found) {
		s = bpf_task_storage_get(&subjects, t, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!s) {
			why = REFUSED_MEMORY;
		} else if (claim(t, s)) {
			why = admit_all(s, sc, uid_of(t), MEMBER_FRESH, &at);
			if (whole)
				make_whole(s);
			release(s);
		} else {
			why = REFUSED_BUSY; /* judged when that exec is through */
		}
		if (why && why != REFUSED_BUSY) {
			e = &sc->list[at & (ROLE_DEPTH - 1)];
			tell_refused(why, e->role, e->pod);
		}
	}
	scratch_put(sc);
	return why;
}

/* The stage becomes the list. */
static __always_inline void commit(struct task_struct *t, struct subject *s,
				   struct linux_binprm *bprm)
{
	/* A member that a control group brought has its one exec now. */
	for (__u32 i = 0; i < ROLE_DEPTH; i++) {
		if (i < s->depth && (s->list[i].flags & MEMBER_FRESH))
			s->list[i].flags &= ~MEMBER_FRESH;
	}
	if (!s->staged) {
		if (!s->depth)
			return;
		/* Stamped from outside after exec_gain had judged the gain: end it. */
		if ((s->flags & SUBJECT_NO_GAIN) && t->cred->euid.val != t->cred->uid.val &&
		    !(t->atomic_flags & (1UL << PFA_NO_NEW_PRIVS)))
			bpf_send_signal(SIGKILL);
		report_exec(s, bprm, EVENT_EXEC);
		return;
	}
	s->flags = s->staged_flags;
	s->depth = s->staged;
	s->staged = 0;
	bpf_task_storage_delete(&pending_enrollments, t);
	report_exec(s, bprm, EVENT_ENROLL);
}

SEC("lsm/bprm_committed_creds")
void BPF_PROG(enroll_commit, struct linux_binprm *bprm)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct subject *s;

	if (!acting())
		return;
	s = UNTYPED(t, bpf_storage) ? entry_of(t) : NULL;
	if (s && is_unknown(s)) {
		/* The exec cannot be refused any more, and the new list not be set. */
		bpf_send_signal(SIGKILL);
		return;
	}
	if (s)
		commit(t, s, bprm);
	/* Moved meanwhile, or while it was not yet the first thread. */
	if (enter_by_cgroup(t, NULL, 0))
		bpf_send_signal(SIGKILL);
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(enroll_moved, struct cgroup *group, const char *path, struct task_struct *task,
	     _Bool threadgroup)
{
	if (acting())
		enter_by_cgroup(task, group, threadgroup);
	return 0;
}

/* Run by the loader: puts the file that the caller has open into the table. */
SEC("syscall")
int identify(struct identity *ask)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct entrance e = ask->entrance, *held;
	struct file_key key;
	struct file **files, *file = NULL;
	struct inode *inode;
	__u32 fd = ask->fd;

	if (fd >= BPF_CORE_READ(t, files, fdt, max_fds))
		return EBADF;
	files = BPF_CORE_READ(t, files, fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	if (!file)
		return EBADF;
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode)
		return EBADF;
	key_of(&key, inode);
	switch (ask->op) {
	case IDENTIFY_PUT:
		held = bpf_map_lookup_elem(&executables, &key);
		/* An update takes the old entry out under a look-up's feet. */
		if (held && held->role == e.role && held->pod == e.pod && held->flags == e.flags)
			return 0;
		if (sealed() && (held || sealed() == SEAL_STRICT))
			return EPERM;
		if (!bpf_map_update_elem(&executables, &key, &e, sealed() ? BPF_NOEXIST : BPF_ANY))
			return 0;
		return sealed() ? EPERM : ENOSPC;
	case IDENTIFY_DELETE:
		if (sealed())
			return EPERM;
		bpf_map_delete_elem(&executables, &key);
		return 0;
	case IDENTIFY_ROLE:
		held = bpf_map_lookup_elem(&executables, &key);
		return held && held->role == e.role && held->pod == e.pod ? 0 : ENOENT;
	}
	return EINVAL;
}

#endif
