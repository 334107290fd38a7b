/*
 * id: F36
 * tries: fchmodat2 of an O_PATH descriptor
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

/* Of kernels before 6.6 /proc/self/fd leads to the same. */
static int chmod_path(const char *name)
{
	char path[64];
	int fd = MUST(open(name, O_PATH));

	if (!syscall(452, fd, "", 0600, AT_EMPTY_PATH))
		return 0;
	if (errno != ENOSYS)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, 0600);
}

int attack(int argc, char **argv)
{
	TRY(chmod_path(argv[1]));
	return 0;
}
