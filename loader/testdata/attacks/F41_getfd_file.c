/*
 * id: F41
 * tries: take a file from a process outside the jail by pidfd_getfd
 * role: mounter
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int own = MUST(open("/srv/jail/ro/file", O_RDONLY)); /* which the child inherits */
	int pidfd = MUST(syscall(SYS_pidfd_open, target(argv[1]), 0));

	TRY(syscall(SYS_pidfd_getfd, pidfd, argv[1][0] == 'c' ? own : 0, 0));
	return 0;
}
