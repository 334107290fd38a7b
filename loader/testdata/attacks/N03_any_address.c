/*
 * id: N03
 * tries: send a datagram to 0.0.0.0 where loopback is refused
 * role: no_loopback
 * args: 0.0.0.0 9999
 * control: 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd = MUST(socket(to.ss_family, SOCK_DGRAM, 0));

	TRY(sendto(fd, "x", 1, 0, (void *)&to, len));
	return 0;
}
