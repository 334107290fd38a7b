/*
 * id: X15
 * tries: rename a program to where it could be executed
 * role: files
 * args: /srv/jail/rw/file /srv/jail/rwx/program
 * control: /srv/jail/rwx/file /srv/jail/rw/program
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rename(argv[1], argv[2]));
	return 0;
}
