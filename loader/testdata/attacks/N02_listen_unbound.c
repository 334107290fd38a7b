/*
 * id: N02
 * tries: listen without bind, which takes an ephemeral port
 * role: webserver
 * args: -
 * control: 8080
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	if (*argv[1] != '-') {
		socklen_t len = address(&to, "127.0.0.1", argv[1]);

		TRY(bind(fd, (void *)&to, len));
	}
	TRY(listen(fd, 1));
	return 0;
}
