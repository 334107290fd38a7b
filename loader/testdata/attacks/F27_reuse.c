/*
 * id: F27
 * tries: delete and create until an inode comes back, after a verdict about it
 * role: files
 * args: /srv/jail/rw/one /srv/jail/ro/one
 * control: /srv/jail/rw/one /srv/jail/rw/two
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	char text[8];
	int fd;

	for (int i = 0; i < 2000; i++) {
		fd = MUST(open(argv[1], O_RDWR | O_CREAT, 0600));
		close(fd);
		MUST(unlink(argv[1]));
		fd = open(argv[2], O_RDWR | O_CREAT, 0600);
		if (fd < 0)
			continue;
		(void)!read(fd, text, sizeof(text));
		return 0;
	}
	return EACCES;
}
