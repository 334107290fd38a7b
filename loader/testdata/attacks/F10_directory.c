/*
 * id: F10
 * tries: rename a directory above denied files, so that another rule would match
 * role: files
 * args: /srv/jail/rw/keys /srv/jail/rw/open
 * control: /srv/jail/rw/dir /srv/jail/rw/dir2
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(rename(argv[1], argv[2]));
	return 0;
}
