/*
 * id: P03
 * tries: pidfd_getfd from the parent, which is not in the jail
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int pidfd = MUST(syscall(SYS_pidfd_open, target(argv[1]), 0));

	TRY(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
	return 0;
}
