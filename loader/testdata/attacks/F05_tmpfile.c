/*
 * id: F05
 * tries: O_TMPFILE, then a name for it where nothing may be created
 * role: files
 * args: /srv/jail/rw /srv/jail/ro/new
 * control: /srv/jail/rw /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;
	char path[64];

	fd = MUST(open(argv[1], O_TMPFILE | O_RDWR, 0600));
	MUST(fchmod(fd, 0640));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(linkat(AT_FDCWD, path, AT_FDCWD, argv[2], AT_SYMLINK_FOLLOW));
	return 0;
}
