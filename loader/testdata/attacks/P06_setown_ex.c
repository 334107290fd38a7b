/*
 * id: P06
 * tries: have the kernel signal whoever memory names, by F_SETOWN_EX
 * role: permissive
 * args: 15
 * control: 8
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct f_owner_ex owner = { F_OWNER_PID, getpid() };
	int pair[2], cmd = atoi(argv[1]);

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	TRY(fcntl(pair[0], cmd, cmd == F_SETOWN ? (long)getpid() : (long)&owner));
	return 0;
}
