/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Self-protection and the kernel's own surface.
 *
 *   bpf   bpf(2) as a whole, but for roles that name it
 */
#ifndef JAIL_GUARD_H
#define JAIL_GUARD_H

#include "core.h"

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

#endif
