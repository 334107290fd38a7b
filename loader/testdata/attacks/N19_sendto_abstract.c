/*
 * id: N19
 * tries: the same to an abstract name
 * role: sockets
 * args: @jail-out-dgram
 * control: @jail-ok-dgram
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_un to;
	socklen_t len = unix_address(&to, argv[1]);
	int fd = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));

	TRY(sendto(fd, "x", 1, MSG_DONTWAIT, (void *)&to, len));
	return 0;
}
