/*
 * id: N17
 * tries: connect to a socket of the host under a role without any rules for sockets
 * role: isolated
 * args: 1 /run/jail-test/ok
 * control-role: permissive
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_un to;
	socklen_t len = unix_address(&to, argv[2]);
	int fd = MUST(socket(AF_UNIX, atoi(argv[1]), 0));

	TRY(connect(fd, (void *)&to, len));
	return 0;
}
