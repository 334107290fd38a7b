/*
 * id: N02
 * tries: bind to port 0, an ephemeral port
 * role: webserver
 * args: 127.0.0.1 0
 * control: 127.0.0.1 8080
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd = MUST(socket(to.ss_family, SOCK_STREAM, 0));

	TRY(bind(fd, (void *)&to, len));
	TRY(listen(fd, 1));
	return 0;
}
