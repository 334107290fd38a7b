/*
 * id: F07
 * tries: rename a read-only file into a writable directory
 * role: files
 * args: /srv/jail/ro/file /srv/jail/rw/new
 * control: /srv/jail/rw/file /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rename(argv[1], argv[2]));
	return 0;
}
