/*
 * id: F05
 * tries: hard link of a denied file into an allowed directory
 * role: files
 * args: /srv/jail/hidden/file /srv/jail/rw/new
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
