/*
 * id: F12
 * tries: open a denied file through a symlink and through /proc/self/root
 * role: restricted
 * args: /etc/hostname
 * control: /proc/self/status
 * expect: EACCES
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/root%s", argv[1]);
	TRY(fd = open(path, O_RDONLY));
	close(fd);
	TRY(open(argv[1], O_RDONLY));
	return 0;
}
