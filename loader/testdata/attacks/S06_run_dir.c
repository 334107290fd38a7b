/*
 * id: S06
 * tries: make a socket where the enrollment server's belongs
 * role: permissive
 * args: /run/bpfjailer/x.sock
 * control: /tmp/x.sock
 * expect: EPERM
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));

	strncpy(a.sun_path, argv[1], sizeof(a.sun_path) - 1);
	TRY(bind(fd, (void *)&a, sizeof(a)));
	unlink(argv[1]);
	return 0;
}
