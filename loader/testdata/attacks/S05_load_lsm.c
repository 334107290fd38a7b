/*
 * id: S05
 * tries: load a program of a type that can stand on our hooks, in a role that allows bpf(2)
 * role: admin
 * args: 29
 * control: 1
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	/* A type and nothing else: EINVAL and the like say that the jail had no objection. */
	__attribute__((aligned(8))) char attr[128] = {};

	attr[0] = atoi(argv[1]);
	if (syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, attr, sizeof(attr)) < 0 && errno == EPERM)
		return EPERM;
	return 0;
}
