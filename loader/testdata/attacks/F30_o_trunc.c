/*
 * id: F30
 * tries: O_RDONLY | O_TRUNC
 * role: files
 * args: /srv/jail/ro/file
 * control: /srv/jail/rw/file
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY | O_TRUNC));
	return 0;
}
