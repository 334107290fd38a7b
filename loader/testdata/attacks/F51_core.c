/*
 * id: F51
 * tries: a core dump into a directory that may not be written
 * role: files
 * args: /srv/jail/ro
 * control: /srv/jail/rw
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int status;
	pid_t pid;

	MUST(chdir(argv[1]));
	pid = MUST(fork());
	if (!pid) {
		setrlimit(RLIMIT_CORE, &all);
		prctl(PR_SET_DUMPABLE, 1);
		abort();
	}
	MUST(waitpid(pid, &status, 0));
	return WCOREDUMP(status) ? 0 : EACCES;
}
