/*
 * id: E01
 * tries: outlive the jail by forks that fail: some kernels free the parent's BPF storage then
 * role: restricted
 * args: /etc/passwd 1
 * control: /dev/null 0
 * expect: EACCES
 * killed: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct rlimit none = { 0, 0 };

	if (argv[2][0] == '1' && getuid()) {
		MUST(setrlimit(RLIMIT_NPROC, &none));
		if (!fork())
			_exit(0);
		usleep(500000); /* an RCU grace period */
	} else if (argv[2][0] == '1') {
		if (!syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL))
			_exit(0);
		usleep(500000);
	}
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
