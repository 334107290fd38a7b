/*
 * id: F32
 * tries: O_CREAT of a file that may only be read
 * role: files
 * args: /srv/jail/ro/new
 * control: /srv/jail/rw/new
 * expect: EACCES
 * tree: yes
 */
#include "attack.h"

int attack(int argc, char **argv)
{
	TRY(open(argv[1], O_RDONLY | O_CREAT, 0600));
	return 0;
}
