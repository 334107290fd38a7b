/*
 * id: N09
 * tries: send datagrams with short addresses, then with a long one
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
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	for (socklen_t n = 1; n < len; n++) {
		if (sendto(fd, "x", 1, 0, (void *)&to, n) >= 0)
			BROKEN("a short address was sent to");
	}
	TRY(sendto(fd, "x", 1, 0, (void *)&to, sizeof(to)));
	return 0;
}
