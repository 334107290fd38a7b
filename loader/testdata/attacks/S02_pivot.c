/*
 * id: S02
 * tries: pivot_root in the mount namespace of process 1
 * role: permissive
 * args: here
 * control: own
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	if (!strcmp(argv[1], "own"))
		MUST(unshare(CLONE_NEWNS));
	return syscall(SYS_pivot_root, "/srv", "/srv") && errno == EPERM ? EPERM : 0;
}
