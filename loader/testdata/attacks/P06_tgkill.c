/*
 * id: P06
 * tries: signal 0 to a thread of the parent
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	pid_t pid = target(argv[1]);

	TRY(syscall(SYS_tgkill, pid, pid, 0));
	return 0;
}
