/*
 * id: P11
 * tries: write to somebody else's terminal
 * role: files
 * args: /run/jail-test/terminal
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	TRY(fd = open(argv[1], O_WRONLY | O_NOCTTY));
	TRY(write(fd, "x", 1));
	return 0;
}
