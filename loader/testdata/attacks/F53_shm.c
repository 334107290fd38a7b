/*
 * id: F53
 * tries: a shared memory file where nothing may be created
 * role: files
 * args: /dev/shm/jail-test
 * control: /srv/jail/rw/shm
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	int fd;

	TRY(fd = open(argv[1], O_RDWR | O_CREAT, 0600));
	unlink(argv[1]);
	return 0;
}
