/*
 * id: N04
 * tries: sendto another address on a connected UDP socket
 * role: webserver
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 443
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage good, to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	address(&good, "127.0.0.1", "8080");
	MUST(connect(fd, (void *)&good, len));
	TRY(sendto(fd, "x", 1, 0, (void *)&to, len));
	return 0;
}
