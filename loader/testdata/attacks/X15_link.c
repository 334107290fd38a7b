/*
 * id: X15
 * tries: give a program a name under which it could be executed
 * role: files
 * args: /srv/jail/rw/file /srv/jail/rwx/program
 * control: /srv/jail/rwx/file /srv/jail/rwx/program
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(link(argv[1], argv[2]));
	return 0;
}
