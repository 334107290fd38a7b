/*
 * id: N17
 * tries: connect to the enrollment socket, which every role may
 * role: restricted
 * args: 1 /run/bpfjailer/enrollment.sock
 * expect: 0
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_un to;
	socklen_t len = unix_address(&to, argv[2]);
	int fd = MUST(socket(AF_UNIX, atoi(argv[1]), 0));

	TRY(connect(fd, (void *)&to, len));
	return 0;
}
