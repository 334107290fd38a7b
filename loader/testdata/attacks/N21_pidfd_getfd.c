/*
 * id: N21
 * tries: take a socket of the parent, which is not in the jail, by pidfd_getfd
 * role: permissive
 * args: parent
 * control: child
 * expect: EPERM
 * as: root
 */
#include "attack.h"
#include <sys/stat.h>

int attack(int argc, char **argv)
{
	int own = MUST(socket(AF_INET, SOCK_STREAM, 0)); /* which the child inherits */
	int pidfd = MUST(syscall(SYS_pidfd_open, target(argv[1]), 0));
	struct stat st;

	for (int n = 0; n < 1024; n++) {
		int fd = syscall(SYS_pidfd_getfd, pidfd, n, 0);

		if (fd < 0 && errno == EBADF)
			continue;
		TRY(fd);
		if (!fstat(fd, &st) && S_ISSOCK(st.st_mode))
			return 0;
	}
	close(own);
	BROKEN("no socket there");
}
