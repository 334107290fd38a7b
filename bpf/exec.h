/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Exec and what an exec may gain.
 *
 *   bprm_check_security    each pass: the script, its interpreter, the binary
 *   bprm_creds_from_file   set-id bits and file capabilities, after they were applied
 */
#ifndef JAIL_EXEC_H
#define JAIL_EXEC_H

#include "core.h"
#include "file.h"
#include "ways.h"

SEC("lsm/bprm_check_security")
int BPF_PROG(exec_check, struct linux_binprm *bprm, int ret)
{
	struct query q = { .op = OP_EXEC, .access = ACCESS_EXEC, .granted = ROLE_DEPTH };
	struct dentry *dentry;
	struct subject *s;
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
	q.pathless = pathless(dentry);
	return file_decide(s, depth, &q, dentry);
}

/* Privilege that the new credentials have and the task did not. */
static __always_inline int gains(const struct cred *old, const struct cred *new,
				 struct inode *inode)
{
	__u64 had = 0, has = 0;
	__u16 mode = inode->i_mode;

	bpf_probe_read_kernel(&had, sizeof(had),
			      __builtin_preserve_access_index(&old->cap_permitted));
	bpf_probe_read_kernel(&has, sizeof(has),
			      __builtin_preserve_access_index(&new->cap_permitted));
	if (has & ~had)
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

#endif
