/*
 * id: S14
 * tries: a BPF token
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	__attribute__((aligned(8))) unsigned int attr[32] = { 0, -1 };

	/* EBADF, EINVAL: nobody had an objection but that this is no bpf file system. */
	return syscall(SYS_bpf, 36 /* TOKEN_CREATE */, attr, 8) < 0 && errno == EPERM ? EPERM : 0;
}
