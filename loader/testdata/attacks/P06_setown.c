/*
 * id: P06
 * tries: have the kernel signal the parent, by F_SETOWN
 * role: permissive
 * args: parent
 * control: self
 * expect: EPERM
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	TRY(fcntl(pair[0], F_SETOWN, !strcmp(argv[1], "parent") ? getppid() : getpid()));
	return 0;
}
