/*
 * id: F08
 * tries: rename an allowed file over a read-only one
 * role: files
 * args: /srv/jail/rw/file /srv/jail/ro/file
 * control: /srv/jail/rw/file /srv/jail/rw/other
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rename(argv[1], argv[2]));
	return 0;
}
