/*
 * id: P06
 * tries: signal 0 to the parent through a pidfd
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd = MUST(syscall(SYS_pidfd_open, target(argv[1]), 0));

	TRY(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	return 0;
}
