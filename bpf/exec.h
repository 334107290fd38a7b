/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Exec and what an exec may gain.
 *
 *   bprm_check_security    each pass: the script, its interpreter, the binary
 *   bprm_creds_from_file   set-id bits and file capabilities, after they were applied
 *   mmap_file, file_mprotect   code mapped into a running program
 */
#ifndef JAIL_EXEC_H
#define JAIL_EXEC_H

#include "core.h"
#include "file.h"
#include "ways.h"

static __always_inline int memory_verdict(struct subject *s, struct policy *p, struct query *q)
{
	return q->member >= q->granted || (p->flags & q->access) == q->access;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(exec_check, struct linux_binprm *bprm, int ret)
{
	struct query q = { .op = OP_EXEC, .access = ACCESS_EXEC, .granted = ROLE_DEPTH };
	struct dentry *dentry;
	struct subject *s;
	struct nature n;
	__u32 depth;
	int err;

	if (ret)
		return earlier(ret);
	err = enter_by_exec(bprm, &q);
	if (err)
		return err;
	s = current_subject_or_staged();
	if (!s)
		return 0;
	depth = s->staged ? s->staged : s->depth;
	q.granted = granted_from(s);
	dentry = bprm->file->f_path.dentry;
	n = nature_of(dentry);
	q.pathless = n.pathless;
	if (q.pathless) {
		/* A memfd: for roles that name it, and for the one exec of those entered. */
		int err;

		q.access = ALLOW_MEMFD_EXEC;
		err = decide(s, depth, &q, memory_verdict, EACCES);
		if (err)
			return err;
		q.access = ACCESS_EXEC;
	}
	return file_decide(s, depth, &q, dentry, &n);
}

/* Privilege that the new credentials have and the task did not. */
static __always_inline int gains(const struct cred *old, const struct cred *new,
				 struct inode *inode)
{
	__u16 mode = inode->i_mode;

	if (CAPABILITIES(new, cap_permitted) & ~CAPABILITIES(old, cap_permitted))
		return 1;
	if (new->euid.val != old->euid.val || new->egid.val != old->egid.val)
		return 1;
	/* no_new_privs or nosuid took the gain away: refused all the same, not run without it */
	return (mode & S_ISUID) && inode->i_uid.val != old->euid.val;
}

static __always_inline int gain_verdict(struct subject *s, struct policy *p, struct query *q)
{
	if (q->value) {
		q->reason = REASON_NO_GAIN;
		return 0;
	}
	return (p->flags & ALLOW_SETUID) != 0;
}

SEC("lsm/bprm_creds_from_file")
int BPF_PROG(exec_gain, struct linux_binprm *bprm, struct file *file, int ret)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct query q = { .op = OP_GAIN, .granted = ROLE_DEPTH };
	struct subject *s;
	__u32 depth, flags;

	if (ret)
		return earlier(ret);
	s = current_subject_or_staged();
	if (!s)
		return 0;
	if (!gains(t->cred, bprm->cred, file->f_inode))
		return 0;
	depth = s->staged ? s->staged : s->depth;
	flags = s->staged ? s->staged_flags : s->flags;
	q.value = flags & SUBJECT_NO_GAIN;
	return decide(s, depth, &q, gain_verdict, EPERM);
}

/*
 * Code from a file: `m`, or `x`, on it. What exec itself maps was judged by exec: the
 * program, and the ELF interpreter when it was opened.
 */
static __always_inline int map_code(struct subject *s, struct query *q, struct file *file)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct mm_struct *mm = t->mm;
	struct file *running = PEEK(mm, exe_file);
	struct dentry *dentry;
	struct nature n;

	if (PEEK(file, f_inode) == PEEK(running, f_inode))
		return 0;
	dentry = PEEK(file, f_path.dentry);
	n = nature_of(dentry);
	if (n.pathless) {
		/* memfd, System V shared memory: no file to judge */
		q->access = ALLOW_MEMFD_EXEC;
		return flag_decide(s, q, EACCES);
	}
	q->access = ACCESS_EXEC | ACCESS_MAP;
	q->alternative = 1;
	return file_decide(s, s->depth, q, dentry, &n);
}

/* Memory that a program wrote and means to run. With the caller's query: stack is scarce. */
static __always_inline int made_code(struct subject *s, struct query *q)
{
	q->access = ALLOW_JIT;
	return flag_decide(s, q, EACCES);
}

SEC("lsm/mmap_file")
int BPF_PROG(exec_mmap, struct file *file, unsigned long reqprot, unsigned long prot,
	     unsigned long flags, int ret)
{
	struct subject *s;
	struct query q;
	int err = 0;

	if (ret)
		return earlier(ret);
	/* prot has what READ_IMPLIES_EXEC added */
	if (!(prot & PROT_EXEC))
		return 0;
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_MAP_EXEC);
	if (!file || is_null(file))
		return errno_of(made_code(s, &q));
	if (prot & PROT_WRITE)
		err = made_code(s, &q);
	return errno_of(err ? err : map_code(s, &q, file));
}

SEC("lsm/file_mprotect")
int BPF_PROG(exec_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot,
	     int ret)
{
	struct subject *s;
	struct query q;
	struct file *file;
	int err = 0;

	if (ret)
		return earlier(ret);
	if (!(prot & PROT_EXEC))
		return 0;
	s = current_subject();
	if (!s)
		return 0;
	ask(&q, OP_MAP_EXEC);
	file = PEEK(vma, vm_file);
	/* Without a file, or with pages that were written since they were mapped. */
	if (!file || PEEK(vma, anon_vma) || (prot & PROT_WRITE))
		err = made_code(s, &q);
	if (err || !file)
		return errno_of(err);
	return errno_of(map_code(s, &q, file));
}

#endif
