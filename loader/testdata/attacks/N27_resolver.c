/*
 * id: N27
 * tries: ask the local resolver by its socket
 * role: isolated
 * args: 1 /run/systemd/resolve/io.systemd.Resolve
 * control-role: resolve
 * expect: EACCES
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
