/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Identity and other processes.
 *
 *   task_fix_setuid        a uid 0 that was not held
 *   capset                 a larger permitted set
 *   capable                capabilities that a role must name
 *   ptrace_access_check, ptrace_traceme
 */
#ifndef JAIL_PROC_H
#define JAIL_PROC_H

#include "core.h"

static __always_inline int had_root(const struct cred *old)
{
	return !old->uid.val || !old->euid.val || !old->suid.val || !old->fsuid.val;
}

SEC("lsm/task_fix_setuid")
int BPF_PROG(proc_setuid, struct cred *new, const struct cred *old, int flags, int ret)
{
	struct query q = { .op = OP_SETUID, .access = ALLOW_SETUID, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s || had_root(old))
		return 0;
	if (new->uid.val &&new->euid.val &&new->suid.val &&new->fsuid.val)
		return 0;
	return decide(s, s->depth, &q, flag_verdict, EPERM);
}

SEC("lsm/capset")
int BPF_PROG(proc_capset, struct cred *new, const struct cred *old, const void *effective,
	     const void *inheritable, const void *permitted, int ret)
{
	struct query q = { .op = OP_CAPSET, .access = ALLOW_SETUID, .granted = ROLE_DEPTH };
	__u64 had = 0, has = 0;
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	bpf_probe_read_kernel(&had, sizeof(had),
			      __builtin_preserve_access_index(&old->cap_permitted));
	bpf_probe_read_kernel(&has, sizeof(has),
			      __builtin_preserve_access_index(&new->cap_permitted));
	if (!(has & ~had))
		return 0;
	return decide(s, s->depth, &q, flag_verdict, EPERM);
}

/* The role flag that opens a capability; 0: the kernel's own rules suffice. */
static __always_inline __u32 capability_flag(int cap)
{
	switch (cap) {
	case CAP_PERFMON: /* since 6.16 it reads any process's memory, too */
	case CAP_BPF:
		return ALLOW_BPF;
	case CAP_SYS_ADMIN: /* mounts of either interface, namespaces, and PERFMON's and BPF's
			       powers */
		return ALLOW_MOUNT;
	case CAP_SYS_MODULE:
		return ALLOW_MODULE_LOAD;
	case CAP_SYS_CHROOT:
		return ALLOW_CHROOT;
	}
	return 0;
}

SEC("lsm/capable")
int BPF_PROG(proc_capable, const struct cred *cred, struct user_namespace *ns, int cap,
	     unsigned int opts, int ret)
{
	struct query q = { .op = OP_CAPABLE, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	q.access = capability_flag(cap);
	if (!q.access)
		return 0;
	s = current_subject();
	if (!s || borrowed_creds())
		return 0;
	q.value = cap;
	q.quiet = opts & CAP_OPT_NOAUDIT;
	return decide(s, s->depth, &q, flag_verdict, EPERM);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(proc_ptrace, struct task_struct *child, unsigned int mode, int ret)
{
	struct query q = { .op = OP_PTRACE, .access = ALLOW_PTRACE, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	q.value = child->tgid;
	q.quiet = mode & PTRACE_MODE_NOAUDIT;
	if (!reaches(s, subject_of(child))) {
		return refuse_always(s, &q, REASON_REACH, EPERM);
	}
	/* Reading what ps shows of a mate is free; taking it over is the role's to allow. */
	if (!(mode & PTRACE_MODE_ATTACH))
		return 0;
	return decide(s, s->depth, &q, flag_verdict, EPERM);
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(proc_traceme, struct task_struct *parent, int ret)
{
	struct query q = { .op = OP_TRACEME, .access = ALLOW_PTRACE, .granted = ROLE_DEPTH };
	struct subject *s, *actor;

	if (ret)
		return earlier(ret);
	/* The parent will act on this task: also when this task is no subject yet. */
	s = subject_of(bpf_get_current_task_btf());
	actor = subject_of(parent);
	if ((!s && !actor) || !acting())
		return 0;
	q.value = parent->tgid;
	if (!reaches(actor, s))
		return refuse_always(actor, &q, REASON_REACH, EPERM);
	if (!s)
		return 0;
	return decide(s, s->depth, &q, flag_verdict, EPERM);
}

#endif
