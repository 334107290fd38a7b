/*
 * id: N09
 * tries: connect with short, long and foreign addresses
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
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));

	for (socklen_t n = 0; n < len; n++) {
		if (!connect(fd, (void *)&to, n))
			BROKEN("a short address was connected to");
	}
	to.ss_family = 77;
	if (!connect(fd, (void *)&to, len))
		BROKEN("a foreign address was connected to");
	to.ss_family = AF_INET;
	if (connect(fd, (void *)&to, sizeof(to)))
		return tolerate_refused(errno);
	return 0;
}
