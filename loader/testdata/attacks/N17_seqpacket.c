/*
 * id: N17
 * tries: the same with SOCK_SEQPACKET
 * role: sockets
 * args: 5 /run/jail-test/out-packet
 * control: 5 /run/jail-test/ok-packet
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
