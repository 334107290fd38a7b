/*
 * id: F08
 * tries: atomic save: write a temporary file and rename it over the old one
 * role: files
 * args: /srv/jail/ro/.tmp /srv/jail/ro/file
 * control: /srv/jail/rw/.tmp /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	TRY(fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL, 0600));
	TRY(write(fd, "new", 3));
	TRY(fsync(fd));
	TRY(rename(argv[1], argv[2]));
	return 0;
}
