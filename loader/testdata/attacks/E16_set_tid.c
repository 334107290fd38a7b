/*
 * id: E16
 * tries: a child with a number of one's choice
 * role: worker
 * control-role: permissive
 * expect: EPERM
 * as: root
 */
#include "attack.h"

#include <linux/sched.h>

int attack(int argc, char **argv)
{
	pid_t wanted = 31999;
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = (uintptr_t)&wanted,
				   .set_tid_size = 1 };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	TRY(pid);
	if (!pid)
		_exit(0);
	MUST(waitpid(pid, NULL, 0));
	return 0;
}
