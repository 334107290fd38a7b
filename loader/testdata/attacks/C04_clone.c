/*
 * id: C04
 * tries: a child in a user namespace of its own
 * role: worker
 * control-role: permissive
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid)
		_exit(0);
	TRY(pid);
	MUST(waitpid(pid, NULL, 0));
	return 0;
}
