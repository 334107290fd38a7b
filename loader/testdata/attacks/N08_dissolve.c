/*
 * id: N08
 * tries: dissolve an association with AF_UNSPEC (allowed), then connect elsewhere
 * role: webserver
 * args: 127.0.0.1 9999
 * control: 127.0.0.1 443
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage good, to;
	socklen_t len = address(&to, argv[1], argv[2]);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));

	address(&good, "127.0.0.1", "8080");
	MUST(connect(fd, (void *)&good, len));
	MUST(connect(fd, &none, sizeof(none)));
	TRY(connect(fd, (void *)&to, len));
	return 0;
}
