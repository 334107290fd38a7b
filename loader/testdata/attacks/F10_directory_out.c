/*
 * id: F10
 * tries: rename a directory to where its files could be executed
 * role: files
 * args: /srv/jail/rw/dir /srv/jail/rwx/dir2
 * control: /srv/jail/rwx/dir /srv/jail/rw/dir2
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rename(argv[1], argv[2]));
	return 0;
}
