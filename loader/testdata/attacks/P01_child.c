/*
 * id: P01
 * tries: PTRACE_SEIZE of a child of its own, where the role has no ptrace
 * role: worker
 * control-role: permissive
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	pid_t pid = MUST(fork());
	int err = 0;

	if (!pid) {
		pause();
		_exit(0);
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, 0))
		err = errno;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}
