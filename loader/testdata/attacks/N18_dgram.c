/*
 * id: N18
 * tries: connect a datagram socket to an abstract name
 * role: sockets
 * args: 2 @jail-out-dgram
 * control: 2 @jail-ok-dgram
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
