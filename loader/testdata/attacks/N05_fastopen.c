/*
 * id: N05
 * tries: connect by sendto with MSG_FASTOPEN, which never calls the connect hook
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
	int fd = MUST(socket(to.ss_family, SOCK_STREAM, 0));

	if (sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&to, len) < 0)
		return tolerate_refused(errno);
	return 0;
}
