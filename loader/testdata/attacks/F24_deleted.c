/*
 * id: F24
 * tries: reopen a file that is deleted
 * role: files
 * args: /srv/jail/rw/file delete
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char path[64];
	int fd = MUST(open(argv[1], O_RDONLY));

	if (argc > 2)
		MUST(unlink(argv[1]));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(open(path, O_RDWR));
	return 0;
}
