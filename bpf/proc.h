/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Identity and other processes.
 *
 *   task_fix_setuid        a uid 0 that was not held
 *   capset                 a larger permitted or inheritable set
 *   capable                capabilities that a role must name
 *   ptrace_access_check, ptrace_traceme
 *   task_kill, task_set*, task_movememory   by reach
 *   file_fcntl             who gets a descriptor's signals
 *   ipc_permission, *_alloc_security, *_free_security, *ctl   System V IPC, by reach to the maker
 */
#ifndef JAIL_PROC_H
#define JAIL_PROC_H

#include "core.h"
#include "guard.h"

static __always_inline int had_root(const struct cred *old)
{
	return !old->uid.val || !old->euid.val || !old->suid.val || !old->fsuid.val;
}

SEC("lsm/task_fix_setuid")
int BPF_PROG(proc_setuid, struct cred *new, const struct cred *old, int flags, int ret)
{
	struct query q;
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s || had_root(old))
		return 0;
	ask(&q, OP_SETUID);
	q.access = ALLOW_SETUID;
	if (new->uid.val &&new->euid.val &&new->suid.val &&new->fsuid.val)
		return 0;
	return errno_of(flag_decide(s, &q, EPERM));
}

SEC("lsm/capset")
int BPF_PROG(proc_capset, struct cred *new, const struct cred *old, const void *effective,
	     const void *inheritable, const void *permitted, int ret)
{
	struct query q;
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_CAPSET);
	q.access = ALLOW_SETUID;
	/* Inheritable too: no capability can be made ambient that is not inheritable, and the
	 * hook of that prctl comes when it is done. */
	if (!(CAPABILITIES(new, cap_permitted) & ~CAPABILITIES(old, cap_permitted)) &&
	    !(CAPABILITIES(new, cap_inheritable) & ~CAPABILITIES(old, cap_inheritable)))
		return 0;
	return errno_of(flag_decide(s, &q, EPERM));
}

/* The role flag that opens a capability as well as `capabilities` does. */
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

#define BIT(n) (1ULL << (n))

/* Capabilities that a role must name; the kernel's own rules suffice for the others. */
static const __u64 gated_capabilities =
	BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_MODULE) | BIT(CAP_SYS_RAWIO) |
	BIT(CAP_SYS_CHROOT) | BIT(CAP_SYS_PACCT) | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_BOOT) |
	BIT(CAP_SYS_TIME) | BIT(CAP_SYS_TTY_CONFIG) | BIT(CAP_MKNOD) | BIT(CAP_AUDIT_CONTROL) |
	BIT(CAP_MAC_OVERRIDE) | BIT(CAP_MAC_ADMIN) | BIT(CAP_SYSLOG) | BIT(CAP_AUDIT_READ) |
	BIT(CAP_PERFMON) | BIT(CAP_BPF) | BIT(CAP_CHECKPOINT_RESTORE);

SEC("lsm/capable")
int BPF_PROG(proc_capable, const struct cred *cred, struct user_namespace *ns, int cap,
	     unsigned int opts, int ret)
{
	struct query q;
	struct subject *s;

	if (ret)
		return earlier(ret);
	if (!((gated_capabilities >> (cap & 63)) & 1))
		return 0;
	s = current_subject();
	if (!s || lent_creds())
		return 0;
	ask(&q, OP_CAPABLE);
	q.access = capability_flag(cap);
	q.value = cap;
	/* Reading as root asks for DAC_READ_SEARCH before DAC_OVERRIDE, which stays. */
	q.quiet = (opts & CAP_OPT_NOAUDIT) || cap == CAP_DAC_READ_SEARCH;
	return decide(s, s->depth, &q, capability_verdict, EPERM);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(proc_ptrace, struct task_struct *child, unsigned int mode, int ret)
{
	struct query q = { .op = OP_PTRACE, .access = ALLOW_PTRACE, .granted = ROLE_DEPTH };
	struct subject *s;

	if (ret)
		return earlier(ret);
	s = current_subject();
	q.value = child->tgid;
	q.quiet = mode & PTRACE_MODE_NOAUDIT ? 1 : 0;
	if (!s) {
		q.leaf = (__u64)child;
		return errno_of(seal_ptrace(&q, mode));
	}
	if (!reaches(s, subject_of(child))) {
		return refuse_always(s, &q, REASON_REACH, EPERM);
	}
	/* Reading what ps shows of a mate is free; taking it over is the role's to allow. */
	if (!(mode & PTRACE_MODE_ATTACH))
		return 0;
	return errno_of(flag_decide(s, &q, EPERM));
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(proc_traceme, struct task_struct *parent, int ret)
{
	struct query q = { .op = OP_TRACEME, .access = ALLOW_PTRACE, .granted = ROLE_DEPTH };
	struct subject *s, *actor;

	if (ret)
		return earlier(ret);
	/* The parent will act on this task: also when this task is no subject yet. */
	s = own_subject();
	actor = subject_of(parent);
	if ((!s && !actor) || !acting())
		return 0;
	q.value = parent->tgid;
	if (!reaches(actor, s))
		return refuse_always(actor, &q, REASON_REACH, EPERM);
	if (!s)
		return 0;
	return errno_of(flag_decide(s, &q, EPERM));
}

/* Global: its own stack, for the query. */
__noinline int refuse_reach(struct subject *s, __u32 op, __u32 pid)
{
	struct query q = { .op = op, .granted = ROLE_DEPTH };

	if (!s)
		return -EPERM;
	q.value = pid;
	return refuse_always(s, &q, REASON_REACH, EPERM);
}

/* Acting on another process: its list must begin with the actor's. 0: it does. */
static __always_inline int reach_task(struct task_struct *target, __u32 op)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct subject *s;

	if (target->tgid == t->tgid)
		return 0;
	s = current_subject();
	if (!s || reaches(s, subject_of(target)))
		return 0;
	return errno_of(refuse_reach(s, op, target->tgid));
}

/* The kernel's own signals do not come here; signal 0 does. */
SEC("lsm/task_kill")
int BPF_PROG(proc_kill, struct task_struct *p, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	if (ret)
		return earlier(ret);
	/* with credentials: the kernel, for a descriptor's owner; see proc_fcntl */
	return is_null(cred) ? reach_task(p, OP_SIGNAL) : 0;
}

SEC("lsm/task_setnice")
int BPF_PROG(proc_setnice, struct task_struct *p, int nice, int ret)
{
	if (ret)
		return earlier(ret);
	return reach_task(p, OP_PRIORITY);
}

SEC("lsm/task_setioprio")
int BPF_PROG(proc_setioprio, struct task_struct *p, int ioprio, int ret)
{
	if (ret)
		return earlier(ret);
	return reach_task(p, OP_PRIORITY);
}

SEC("lsm/task_setscheduler")
int BPF_PROG(proc_setsched, struct task_struct *p, int ret)
{
	if (ret)
		return earlier(ret);
	return reach_task(p, OP_PRIORITY);
}

SEC("lsm/task_setrlimit")
int BPF_PROG(proc_setrlimit, struct task_struct *p, unsigned int resource, struct rlimit *limit,
	     int ret)
{
	if (ret)
		return earlier(ret);
	return reach_task(p, OP_PRIORITY);
}

SEC("lsm/task_setpgid")
int BPF_PROG(proc_setpgid, struct task_struct *p, int pgid, int ret)
{
	if (ret)
		return earlier(ret);
	return reach_task(p, OP_PRIORITY);
}

SEC("lsm/task_movememory")
int BPF_PROG(proc_movememory, struct task_struct *p, int ret)
{
	if (ret)
		return earlier(ret);
	return reach_task(p, OP_PRIORITY);
}

/*
 * Who gets a descriptor's SIGIO: the kernel sends it later, when nobody knows who asked.
 * So only the caller itself, by its number in its own pid namespace; F_SETOWN_EX has the
 * owner in memory that may change, and is refused.
 */
SEC("lsm/file_fcntl")
int BPF_PROG(proc_fcntl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	struct query q = { .op = OP_OWNER, .granted = ROLE_DEPTH };
	struct task_struct *t = bpf_get_current_task_btf();
	struct subject *s;
	struct pid *pid;
	__u32 level;
	int nr = 0;

	if (ret)
		return earlier(ret);
	if (cmd != F_SETOWN && cmd != F_SETOWN_EX)
		return 0;
	s = current_subject();
	if (!s)
		return 0;
	if (cmd == F_SETOWN) {
		pid = BPF_CORE_READ(t, group_leader, thread_pid);
		level = BPF_CORE_READ(pid, level);
		bpf_probe_read_kernel(&nr, sizeof(nr),
				      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
					      level * bpf_core_type_size(struct upid));
		if ((int)arg == 0 || (int)arg == nr)
			return 0;
	}
	q.value = (int)arg;
	return refuse_always(s, &q, REASON_REACH, EPERM);
}

/* ---- System V IPC ---- */

static __always_inline int ipc_made(void *perm)
{
	struct subject *s = current_subject();
	struct owner owner = {};
	__u64 key = (__u64)perm;

	if (!s)
		return 0;
	own(&owner, s);
	return bpf_map_update_elem(&ipc_owners, &key, &owner, BPF_ANY) ? -ENOSPC : 0;
}

static __always_inline void ipc_gone(void *perm)
{
	__u64 key = (__u64)perm;

	bpf_map_delete_elem(&ipc_owners, &key);
}

/* The maker's list must begin with the actor's; what no subject made is beyond reach. */
static __always_inline int ipc_reach(void *perm)
{
	struct query q = { .op = OP_IPC, .granted = ROLE_DEPTH };
	struct subject *s = current_subject();
	__u64 key = (__u64)perm;

	/* NULL: asks of the limits only, of no object */
	if (!s || is_null(perm))
		return 0;
	if (made_within(s, bpf_map_lookup_elem(&ipc_owners, &key)))
		return 0;
	return refuse_always(s, &q, REASON_REACH, EACCES);
}

SEC("lsm/msg_queue_alloc_security")
int BPF_PROG(ipc_make_msg, struct kern_ipc_perm *perm, int ret)
{
	return ret ? earlier(ret) : ipc_made(perm);
}

SEC("lsm/shm_alloc_security")
int BPF_PROG(ipc_make_shm, struct kern_ipc_perm *perm, int ret)
{
	return ret ? earlier(ret) : ipc_made(perm);
}

SEC("lsm/sem_alloc_security")
int BPF_PROG(ipc_make_sem, struct kern_ipc_perm *perm, int ret)
{
	return ret ? earlier(ret) : ipc_made(perm);
}

SEC("lsm/msg_queue_free_security")
void BPF_PROG(ipc_free_msg, struct kern_ipc_perm *perm)
{
	ipc_gone(perm);
}

SEC("lsm/shm_free_security")
void BPF_PROG(ipc_free_shm, struct kern_ipc_perm *perm)
{
	ipc_gone(perm);
}

SEC("lsm/sem_free_security")
void BPF_PROG(ipc_free_sem, struct kern_ipc_perm *perm)
{
	ipc_gone(perm);
}

SEC("lsm/ipc_permission")
int BPF_PROG(ipc_access, struct kern_ipc_perm *perm, short flag, int ret)
{
	return ret ? earlier(ret) : ipc_reach(perm);
}

SEC("lsm/msg_queue_msgctl")
int BPF_PROG(ipc_msgctl, struct kern_ipc_perm *perm, int cmd, int ret)
{
	return ret ? earlier(ret) : ipc_reach(perm);
}

SEC("lsm/shm_shmctl")
int BPF_PROG(ipc_shmctl, struct kern_ipc_perm *perm, int cmd, int ret)
{
	return ret ? earlier(ret) : ipc_reach(perm);
}

SEC("lsm/sem_semctl")
int BPF_PROG(ipc_semctl, struct kern_ipc_perm *perm, int cmd, int ret)
{
	return ret ? earlier(ret) : ipc_reach(perm);
}

#endif
