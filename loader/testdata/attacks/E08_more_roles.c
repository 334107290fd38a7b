/*
 * id: E08
 * tries: arm `permissive` inside a jail and connect: it only stacks
 * role: worker
 * control-role: permissive
 * expect: EACCES
 */
#include "attack.h"
#include "../../../bpf/abi.h"

int attack(int argc, char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, "127.0.0.1", "9999");
	int fd;

	if (argc == 1 || strcmp(argv[1], "again")) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PRCTL_JAIL, PRCTL_ARM, 2, 0, 0);
		if (errno != PRCTL_OK)
			return errno > 199 ? 199 : errno;
		execl("/proc/self/exe", "attacks", argv[0], "again", NULL);
		return errno;
	}
	fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	TRY(connect(fd, (void *)&to, len));
	return 0;
}
