/*
 * id: F30
 * tries: truncate a read-only file
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(truncate(argv[1], 1));
	return 0;
}
