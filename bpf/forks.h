/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Forks that fail: on some kernels they would take the parent's jail away.
 *
 * A child begins as a copy of its parent's task_struct, the pointer to its BPF storage
 * included. Kernels without "bpf,fork: wipe ->bpf_storage before bailouts that access it" (in
 * stable kernels since 2026; Debian's 6.18.15 lacks it) clear the copy only shortly before
 * sched_fork(). Where copy_process() gives up before that - a limit on processes or on
 * namespaces, no memory - it frees the child, and with it, an RCU grace period later, the
 * storage of the parent: a subject would be none any more. Such a parent is killed. Nothing
 * of this happens where the copy holds no storage: on a mended kernel.
 *
 *   copy_creds     the first that is called with the copy: its parent's jail is at stake
 *   sched_fork     no more
 *   copy_process   ended, and how
 */
#ifndef JAIL_FORKS_H
#define JAIL_FORKS_H

#include "enroll.h"

SEC("fentry/copy_creds")
int BPF_PROG(fork_copied, struct task_struct *child)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u32 tid = t->pid, any = ANY_FORK, state = FORK_AT_STAKE;

	bpf_map_delete_elem(&forks, &tid); /* of one whose end was not seen */
	if (!UNTYPED(child, bpf_storage))
		return 0;
	if (!bpf_map_lookup_elem(&forks, &any))
		bpf_map_update_elem(&forks, &any, &state, BPF_ANY);
	/* Also an entry that says nothing yet: an exec would write into what is about to go. */
	if (!entry_of(t) && !bpf_task_storage_get(&pending_enrollments, t, 0, 0) &&
	    !find_entry(t, id_of(&pending_enrollments)))
		return 0;
	if (bpf_map_update_elem(&forks, &tid, &state, BPF_ANY)) {
		count(COUNT_NO_STORAGE);
		bpf_send_signal(SIGKILL);
	}
	return 0;
}

SEC("fentry/sched_fork")
int BPF_PROG(fork_safe)
{
	__u32 *state = fork_of(bpf_get_current_task_btf());

	if (state)
		*state &= ~FORK_AT_STAKE;
	return 0;
}

/* No memory for one that was copied, or too many: not what is said before there is a copy. */
static __always_inline int failed_late(long err)
{
	return err == -EAGAIN || err == -ENOMEM || err == -ENOSPC;
}

SEC("fexit/copy_process")
int fork_ended(__u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	__u32 *state = fork_of(t), any = ANY_FORK, tid = t->pid, lost = FORK_LOST;
	struct subject *s;
	long child = 0;

	bpf_get_func_ret(ctx, (__u64 *)&child); /* the argument is a pointer to the verifier */
	if (child >= 0 || child < -4095) {
		if (state)
			bpf_map_delete_elem(&forks, &tid);
		return 0;
	}
	s = bpf_task_storage_get(&subjects, t, 0, 0);
	if (state && !(*state & FORK_AT_STAKE)) {
		bpf_map_delete_elem(&forks, &tid);
		return 0;
	}
	/* No state: fork_copied saw nothing at stake, or the kernel skipped it. */
	if (!state && !(s && failed_late(child) && bpf_map_lookup_elem(&forks, &any)))
		return 0;
	count(COUNT_FAULT);
	bpf_map_update_elem(&forks, &tid, &lost, BPF_ANY); /* until task_free */
	bpf_send_signal(SIGKILL);
	if (!s)
		return 0;
	/* task_free will find no storage. The roles hold until the end. */
	put_domains(s);
	for (__u32 i = 0; i < ROLE_DEPTH; i++)
		s->list[i].domain = 0;
	return 0;
}

#endif
