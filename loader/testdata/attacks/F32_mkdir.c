/*
 * id: F32
 * tries: mkdir
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(mkdir(argv[1], 0700));
	return 0;
}
