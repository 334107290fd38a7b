/*
 * id: F30
 * tries: write, append and ftruncate need an open for writing
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	TRY(fd = open(argv[1], O_WRONLY | O_APPEND));
	TRY(ftruncate(fd, 1));
	return 0;
}
