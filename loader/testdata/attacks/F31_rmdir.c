/*
 * id: F31
 * tries: rmdir
 * role: files
 * args: /srv/jail/ro/empty
 * control: /srv/jail/rw/empty
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rmdir(argv[1]));
	return 0;
}
