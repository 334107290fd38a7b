/*
 * id: N17
 * tries: connect to a stream socket of the host, as to docker.sock
 * role: sockets
 * args: 1 /run/jail-test/out
 * control: 1 /run/jail-test/ok
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
