/*
 * id: P13
 * tries: plant a file that a shell will obey
 * role: planter
 * args: /srv/jail/rw/.bashrc
 * control: /srv/jail/rw/bashrc
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(creat(argv[1], 0644));
	return 0;
}
