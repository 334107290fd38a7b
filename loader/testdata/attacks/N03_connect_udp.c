/*
 * id: N03
 * tries: connect UDP to a port outside the role
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
	int fd = MUST(socket(to.ss_family, SOCK_DGRAM, 0));

	if (connect(fd, (void *)&to, len))
		return tolerate_refused(errno);
	return 0;
}
