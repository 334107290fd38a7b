/*
 * id: X22
 * tries: load a module, if only a file that is none
 * role: permissive
 * control-role: admin
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(open("/tmp/data", O_RDONLY));

	/* ENOEXEC and the like: the jail had no objection. */
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno == EPERM)
		return EPERM;
	return 0;
}
