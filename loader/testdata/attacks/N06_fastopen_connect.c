/*
 * id: N06
 * tries: TCP_FASTOPEN_CONNECT, then connect and write
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
	int fd = MUST(socket(to.ss_family, SOCK_STREAM, 0)), one = 1;

	MUST(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)));
	if (connect(fd, (void *)&to, len))
		return tolerate_refused(errno);
	signal(SIGPIPE, SIG_IGN);
	if (write(fd, "x", 1) < 0)
		return tolerate_refused(errno);
	return 0;
}
