/*
 * id: F07
 * tries: rename to where the file could be executed, too
 * role: files
 * args: /srv/jail/rw/file /srv/jail/rwx/new
 * control: /srv/jail/rwx/file /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rename(argv[1], argv[2]));
	return 0;
}
