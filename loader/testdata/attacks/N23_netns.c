/*
 * id: N23
 * tries: connect in a network namespace of its own
 * role: namespaces
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 8080
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, argv[1], argv[2]);
	int fd;

	MUST(unshare(CLONE_NEWNET));
	fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	if (connect(fd, (void *)&to, len)) /* loopback is down there */
		return errno == ENETUNREACH ? 0 : tolerate_refused(errno);
	return 0;
}
