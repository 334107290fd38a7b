/*
 * id: X20
 * tries: vfork, then exec from the child
 * role: webserver
 * control-role: worker
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	volatile int err = 0;
	int status;
	pid_t pid = MUST(vfork());

	if (!pid) {
		execl("/bin/true", "true", NULL);
		err = errno;
		_exit(1);
	}
	MUST(waitpid(pid, &status, 0));
	return err;
}
