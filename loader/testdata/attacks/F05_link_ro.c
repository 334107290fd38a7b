/*
 * id: F05
 * tries: hard link of a read-only file to where it could be written
 * role: files
 * args: /srv/jail/ro/file /srv/jail/rw/new
 * control: /srv/jail/rw/file /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(link(argv[1], argv[2]));
	return 0;
}
