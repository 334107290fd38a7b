/*
 * id: N19
 * tries: send a datagram without connect
 * role: sockets
 * args: /run/jail-test/out-dgram
 * control: /run/jail-test/ok-dgram
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
