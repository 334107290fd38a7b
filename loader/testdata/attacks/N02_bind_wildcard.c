/*
 * id: N02
 * tries: bind a port on every address where it is refused on one
 * role: no_loopback
 * args: 0.0.0.0 9999
 * control: 0.0.0.0 9998
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd = MUST(socket(to.ss_family, SOCK_STREAM, 0));

	TRY(bind(fd, (void *)&to, len));
	return 0;
}
