/*
 * id: F08
 * tries: exchange an allowed file and a read-only one
 * role: files
 * args: /srv/jail/rw/file /srv/jail/ro/file
 * control: /srv/jail/rw/file /srv/jail/rw/other
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE));
	return 0;
}
