/*
 * id: N07
 * tries: an IPv4 address on an IPv6 datagram socket
 * role: webserver
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd = MUST(socket(AF_INET6, SOCK_DGRAM, 0));

	TRY(sendto(fd, "x", 1, 0, (void *)&to, len));
	return 0;
}
