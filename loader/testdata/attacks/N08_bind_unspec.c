/*
 * id: N08
 * tries: bind with AF_UNSPEC and no address, which the kernel takes for IPv4
 * role: webserver
 * args: 0.0.0.0 9999
 * control: 0.0.0.0 8080
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	to.ss_family = AF_UNSPEC;
	TRY(bind(fd, (void *)&to, len));
	return 0;
}
