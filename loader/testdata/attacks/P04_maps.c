/*
 * id: P04
 * tries: read /proc/PID/maps of the parent
 * role: permissive
 * args: parent
 * control: child
 * expect: EACCES
 * as: root
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64], byte;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", target(argv[1]));
	TRY(fd = open(path, O_RDONLY));
	TRY(read(fd, &byte, 1));
	return 0;
}
