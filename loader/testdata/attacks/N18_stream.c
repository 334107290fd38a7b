/*
 * id: N18
 * tries: connect to an abstract name
 * role: sockets
 * args: 1 @jail-out
 * control: 1 @jail-ok-1
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
