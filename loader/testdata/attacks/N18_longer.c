/*
 * id: N18
 * tries: connect to an abstract name that begins as an allowed one
 * role: sockets
 * args: 1 @jail-exact/more
 * control: 1 @jail-exact
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
