/*
 * id: F36
 * tries: chmod
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(chmod(argv[1], 0600));
	return 0;
}
