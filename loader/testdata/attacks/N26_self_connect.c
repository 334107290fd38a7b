/*
 * id: N26
 * tries: connect a socket to itself: no other end is asked
 * role: webserver
 * args: 9998
 * control: 8080
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage self;
	socklen_t len = address(&self, "127.0.0.1", argv[1]);
	int one = 1, fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	TRY(bind(fd, (void *)&self, len));
	TRY(connect(fd, (void *)&self, len));
	return 0;
}
