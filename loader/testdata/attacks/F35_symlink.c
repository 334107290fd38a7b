/*
 * id: F35
 * tries: symlink
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(symlink("target", argv[1]));
	return 0;
}
