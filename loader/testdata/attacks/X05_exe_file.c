/*
 * id: X05
 * tries: make another file the process's program
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(open("/tmp/code", O_RDONLY));

	/* EBUSY: the old one is still mapped, and nobody had an objection. */
	if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0) && errno == EPERM)
		return EPERM;
	return 0;
}
