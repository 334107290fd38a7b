/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Self-protection and the kernel's own surface.
 *
 *   bpf   bpf(2) as a whole, but for roles that name it
 *   inode_setxattr, inode_removexattr   the mark of an executable
 */
#ifndef JAIL_GUARD_H
#define JAIL_GUARD_H

#include "core.h"
#include "enroll.h"

SEC("lsm/bpf")
int BPF_PROG(guard_bpf, int cmd, union bpf_attr *attr, unsigned int size)
{
	struct query q = { .op = OP_BPF, .access = ALLOW_BPF, .granted = ROLE_DEPTH };
	struct subject *s;

	/* No earlier verdict: on 6.18 and later a fourth argument stands in its place, and an
	 * earlier refusal ends the chain by itself. */
	s = current_subject();
	if (!s)
		return 0;
	q.value = cmd;
	return decide(s, s->depth, &q, flag_verdict, EPERM);
}

/*
 * The mark of an executable is root's to set and to remove, outside any jail: some
 * kernels let the file's owner. When a stacked filesystem copies a file up, the kernel
 * sets it as the mounter.
 */
static __always_inline int guard_mark(const char *name)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct query q = { .op = OP_MARK, .granted = ROLE_DEPTH };
	const char mark[] = MARK_NAME;
	char held[sizeof(mark)] = {};
	struct member nobody = {};
	struct subject *s;

	if (bpf_probe_read_kernel_str(held, sizeof(held), name) < 0)
		return -EPERM;
	for (__u32 i = 0; i < sizeof(mark); i++) {
		if (held[i] != mark[i])
			return 0;
	}
	if (!acting())
		return 0;
	s = subject_of(t);
	if (is_root(t) && (!s || borrowed_creds()))
		return 0;
	if (s)
		return refuse_always(s, &q, REASON_ENROLL, EPERM) ? -EPERM : 0;
	q.reason = REASON_ENROLL;
	refuse(NULL, &q, &nobody, NULL, EPERM);
	return -EPERM;
}

SEC("lsm/inode_setxattr")
int BPF_PROG(guard_setxattr, void *idmap, struct dentry *dentry, const char *name,
	     const void *value, unsigned long size, int flags, int ret)
{
	return ret ? earlier(ret) : guard_mark(name);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(guard_removexattr, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return ret ? earlier(ret) : guard_mark(name);
}

#endif
