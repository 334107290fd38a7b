/*
 * id: F54
 * tries: a lock and a lease on a file that may only be read: allowed, as documented
 * role: files
 * args: /srv/jail/ro/file
 * expect: 0
 * tree: yes
 */
#include "attack.h"
#include <sys/file.h>

int attack(int argc, char **argv)
{
	TRY(flock(MUST(open(argv[1], O_RDONLY)), LOCK_SH));
	return 0;
}
